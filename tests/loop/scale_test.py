from __future__ import annotations

from pathlib import Path

import pytest

from loop.errors import Refused
from loop.scale import asked, forget, scale
from loop.status import Status, write_status


@pytest.fixture
def running(tmp_path: Path) -> Path:
    write_status(tmp_path, Status.now(1, 1, ["generate"]))
    return tmp_path


def test_what_is_asked_for_adds_up_until_a_driver_begins(running: Path) -> None:
    assert asked(running) == {}
    assert scale(running, ["rollout.replicas=3", "learner.ranks=1"]) == {"rollout.replicas": 3, "learner.ranks": 1}
    scale(running, ["rollout.replicas=2"])
    assert asked(running) == {"rollout.replicas": 2, "learner.ranks": 1}
    forget(running)
    assert asked(running) == {}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("learner.lr=1", "learner.lr cannot change"),
        ("rollout.replicas=0", "above 0"),
        ("rollout.replicas", "above 0"),
        ("judge.replicas=two", "above 0"),
    ],
)
def test_anything_else_is_refused(running: Path, override: str, told: str) -> None:
    with pytest.raises(Refused, match=told):
        scale(running, [override])
    assert asked(running) == {}


def test_a_run_that_does_not_go_on_is_resumed_instead(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="ratchet resume"):
        scale(tmp_path, ["rollout.replicas=2"])
    write_status(tmp_path, Status.now(1, 1, [], "finished"))
    with pytest.raises(Refused, match="is not running"):
        scale(tmp_path, ["rollout.replicas=2"])


def test_nothing_to_change_is_refused(running: Path) -> None:
    with pytest.raises(Refused, match="name what to change"):
        scale(running, [])

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loop.errors import Refused
from loop.fork import Parent, resolve
from tests.loop.run_folders import IDENTITY, SUMMARIES, ran

NAME = "demo-dpo-verifier-1234abcd"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run with rounds 1 to 3 closed, of which the second changed nothing and the third was not kept."""
    runs = tmp_path_factory.mktemp("runs")
    rows = ran(runs / NAME)
    rows.close(replace(SUMMARIES[1], round=2))
    rows.close(replace(SUMMARIES[1], round=3, policy="r3-s9"), "digest of r3")
    for number in (1, 2):
        (runs / NAME / "checkpoints" / f"round-{number:03d}").mkdir(parents=True)
    return runs


def test_a_parent_is_the_policy_with_which_its_round_ended(runs: Path) -> None:
    path = runs / NAME / "checkpoints" / "round-001"
    expected = Parent(runs / NAME, IDENTITY, 1, "r1-s4", "digest of r1", path)
    assert resolve(f"{NAME}@1", str(runs)) == expected
    assert resolve(f"{runs / NAME}@1", "elsewhere") == expected
    assert expected.label == f"{IDENTITY}@r1-s4"


def test_a_round_that_changed_nothing_has_the_version_before_and_its_own_checkpoint(runs: Path) -> None:
    parent = resolve(f"{NAME}@2", str(runs))
    assert (parent.version, parent.digest, parent.model_path.name) == ("r1-s4", "digest of r1", "round-002")


@pytest.mark.parametrize(
    ("parent", "said"),
    [
        (NAME, "not of the form RUN@ROUND"),
        ("@1", "not of the form RUN@ROUND"),
        (f"{NAME}@", "not of the form RUN@ROUND"),
        (f"{NAME}@best", "not of the form RUN@ROUND"),
        (f"{NAME}@-1", "not of the form RUN@ROUND"),
        ("other@1", "no run other"),
        (f"{NAME}@0", "round 0 is the model that .* began with; leave `parent` out"),
        (f"{NAME}@3", r"round 3 is not there as a checkpoint; those of rounds 1, 2 are \(export.every and export.keep"),
        (f"{NAME}@4", "has not finished round 4; its last finished round is 3"),
    ],
)
def test_what_is_no_parent_is_refused(runs: Path, parent: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        resolve(parent, str(runs))


def test_a_run_without_any_export_says_so(tmp_path: Path) -> None:
    ran(tmp_path / "run")
    with pytest.raises(Refused, match="none of that run is"):
        resolve("run@1", str(tmp_path))

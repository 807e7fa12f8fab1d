"""How a round's groups come about where the policy's samples are not all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from loop.ledger import Ledger
from loop.samplers import STRATEGIES
from loop.samplers.strategy import Strategy, samples
from tests.loop.resume_test import damage, tables
from tests.loop.stub_fleets import Driven, drive

SETTINGS = ("rollout.shard_prompts=1", "ledger.min_rows=3")
OPPONENT = "algorithm.others=[{policy: initial, as: opponent}]"
MANY = (
    "algorithm.sampler.name=twice",
    "algorithm.others=[{policy: mixture, as: opponent}, {policy: initial, as: opponent, k: 2}, "
    "{policy: latest, as: explored}, {column: teacher, as: teacher}]",
    "algorithm.look_ahead=true",
    "rounds=4",
    "ledger.min_rows=3",
)


@pytest.fixture(autouse=True)
def twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy of two steps."""
    strategy = Strategy(name="twice", source="test", propose=samples, steps=lambda options: 2)
    monkeypatch.setitem(STRATEGIES, "twice", strategy)


def to_the_end(folder: Path, *overrides: str) -> Driven:
    driven = drive(folder, *overrides)
    assert driven.summary is not None
    return driven


def test_others_are_sampled_first_and_the_engines_get_the_rounds_policy_back(tmp_path: Path) -> None:
    calls = to_the_end(tmp_path, *SETTINGS, OPPONENT).fleets.calls
    second = calls[calls.index("push:r1-s3") :]
    start = second.index("serve:r0-s0")
    assert second[start : start + 4] == ["serve:r0-s0", *["generate:opponent for drafts"] * 2, "serve:r1-s3"]
    assert second[start + 4] == "generate:train"
    rows = Ledger(tmp_path / "ledger").read("responses", ["round", "purpose", "policy"]).to_pylist()
    found = {(row["round"], row["purpose"], row["policy"]) for row in rows}
    assert found == {
        (1, "opponent", "r0-s0"),
        (1, "train", "r0-s0"),
        (2, "opponent", "r0-s0"),
        (2, "train", "r1-s3"),
    }


def test_stages_number_their_shards_on(tmp_path: Path) -> None:
    driven = to_the_end(tmp_path, *SETTINGS, *MANY[:2])
    ledger = Ledger(tmp_path / "ledger")
    assert sorted(ledger.committed("drafts", 2)) == [*range(2 * 4)], "three policies and a step, of two slices each"
    assert sorted(ledger.committed("draft_judgements", 2)) == [6, 7], "the step's drafts alone are judged"
    asked = [r for r in driven.fleets.asked if r.round == 2 and r.purpose != "evaluate"]
    told = [(r.purpose, r.step, r.policy, r.options.get("first", 0), r.whole) for r in asked if r.shard % 2 == 0]
    assert told == [
        ("draw", 0, "r1-s3", 0, False),
        ("opponent", 0, "r0-s0", 0, False),
        ("explored", 0, "r1-s3", 0, False),
        ("train", 0, "r1-s3", 0, False),
        ("train", 1, "r1-s3", 0, True),
    ]
    whole = asked[-1]
    assert [ref.shard % 2 for ref in whole.beside] == [whole.shard] * 4 and len(whole.said) == 1
    assert whole.given == (("teacher", "teacher"),) and whole.mixtures[0].other == "r0-s0"
    assert {ref.table for ref in whole.mixtures[0].weights} == {"draft_anchors"}


def test_a_mixture_of_one_policy_is_sampled_from_it_and_others_of_its_purpose_are_numbered_on(tmp_path: Path) -> None:
    driven = to_the_end(tmp_path, *SETTINGS, *MANY[:2])
    asked = [r for r in driven.fleets.asked if r.round == 1 and r.table == "drafts" and r.shard % 2 == 0]
    assert [(r.purpose, r.k, r.options["first"]) for r in asked[:2]] == [("opponent", 1, 0), ("opponent", 2, 1)]
    assert not Ledger(tmp_path / "ledger").committed("draft_anchors", 1)


def test_draws_are_weighed_once_and_committed_drafts_are_not_sampled_again(tmp_path: Path) -> None:
    calls = to_the_end(tmp_path / "whole", *SETTINGS, *MANY[:2]).fleets.calls
    assert calls.count("weigh") == 1
    at = len(calls) - calls[::-1].index("judge drafts") - 1
    assert drive(tmp_path / "cut", *SETTINGS, *MANY[:2], dies_at=at).summary is None
    again = to_the_end(tmp_path / "cut", *SETTINGS, *MANY[:2]).fleets
    drafts = {(r.purpose, r.shard) for r in again.asked if r.table == "drafts"}
    assert not {purpose for purpose, _ in drafts} - {"train"} and "weigh" not in again.calls
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")


def test_a_judge_that_is_asked_nothing_is_not_checked(tmp_path: Path) -> None:
    given = ("algorithm.pairing.name=given", "algorithm.plan.name=none", "algorithm.k=1")
    driven = to_the_end(tmp_path, *SETTINGS, *given, "algorithm.others=[{column: completion, as: chosen}]")
    assert "check" not in driven.fleets.calls and "judge drafts" not in driven.fleets.calls


def test_a_damaged_draft_is_made_with_the_weights_before(tmp_path: Path) -> None:
    calls = to_the_end(tmp_path / "whole", *SETTINGS, OPPONENT).fleets.calls
    assert drive(tmp_path / "cut", *SETTINGS, OPPONENT, dies_at=calls.index("push:r2-s6")).summary is None
    damage(Ledger(tmp_path / "cut" / "ledger").committed("drafts", 2)[1])
    again = to_the_end(tmp_path / "cut", *SETTINGS, OPPONENT)
    assert again.fleets.calls[:4] == ["meet", "restore", "rollback:r1-s3", "push:r1-s3"]
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")


def test_with_all_of_it_a_run_that_is_killed_goes_on_to_the_same_tables(tmp_path: Path) -> None:
    calls = to_the_end(tmp_path / "whole", *MANY).fleets.calls
    wanted = tables(tmp_path / "whole")
    for at in range(6, len(calls), 9):
        here = tmp_path / str(at)
        assert drive(here, *MANY, dies_at=at).summary is None
        to_the_end(here, *MANY)
        assert tables(here) == wanted, f"killed at call {at}, {calls[at]}"


def test_killed_again_and_again_it_still_gets_there(tmp_path: Path) -> None:
    to_the_end(tmp_path / "whole", *MANY)
    lives = 0
    while drive(tmp_path / "cut", *MANY, dies_at=8).summary is None:
        lives += 1
        assert lives < 90
    assert lives > 10 and tables(tmp_path / "cut") == tables(tmp_path / "whole")

"""A round that makes the policy worse, with real engines and learners: it is found out and taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loop.ledger import Ledger
from tests.actors.run_test import ratchet

pytestmark = pytest.mark.engine

BAD_FROM_ROUND_2 = [
    "experiment=demo",
    "rounds=3",
    "algorithm=iterative_dpo",
    "learner.epochs=2",
    "+judge@evaluate.judge=verifier",
    "+judge@later_judges.contrary=verifier",
    "later_judges.contrary.from_round=2",
    "later_judges.contrary.rule=regex",
    "later_judges.contrary.options={pattern: '^(?!{answer}$)'}",
    "tracker=wandb",
]
"""A verifier first, then one that calls every answer right but the right one."""


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, str]:
    """Summary, folder and words of such a run."""
    folder = tmp_path_factory.mktemp("gate")
    done = ratchet("run", "--json", *BAD_FROM_ROUND_2, f"folder={folder / 'run'}", folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder / "run", done.stderr


def test_the_gate_promotes_what_is_better_and_rejects_what_is_worse(spoilt: tuple[dict[str, Any], Path, str]) -> None:
    summary, _, shown = spoilt
    first, second, third = summary["rounds"]
    assert first["gate"]["decision"] == "promoted" and first["policy"] == first["candidate"]
    assert first["gold_score"] > summary["initial"]["gold_score"]
    for bad in (second, third):
        assert bad["gate"]["decision"] == "rejected" and bad["candidate"] != bad["policy"] == first["policy"]
        assert bad["gold_high"] < first["gold_low"], "gold falls"
    assert summary["stands"] == first["policy"]
    assert f"The gate rejected {second['candidate']}" in shown


def test_the_policy_is_restored_bit_for_bit_and_trains_on(spoilt: tuple[dict[str, Any], Path, str]) -> None:
    summary, folder, shown = spoilt
    assert "to the last bit" not in shown, "engines were given the very tensors that the ledger knows"
    sampled = Ledger(folder / "ledger").read("responses", ["round", "policy"]).to_pydict()
    told = dict(zip(sampled["round"], sampled["policy"], strict=True))
    assert told[3] == summary["rounds"][0]["policy"]
    assert (folder / "checkpoints" / "best").resolve().name == "round-001"
    assert [one["checkpoint"] is None for one in summary["rounds"]] == [False, True, True]


def test_diagnostics_turn_red_and_the_report_says_so(spoilt: tuple[dict[str, Any], Path, str]) -> None:
    summary, folder, _ = spoilt
    red = [{one["name"] for one in round["diagnostics"] if one["colour"] == "red"} for round in summary["rounds"]]
    assert red[0] == set() and {"gold_score", "judge_accuracy"} <= red[1]
    page = (folder / "report.html").read_text()
    assert "The gate rejected 2 of 3 candidates" in page and "<script" not in page

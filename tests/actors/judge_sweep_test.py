"""One override swaps the judge: whole runs on the small policy with every kind, and a run that changes judges."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from loop.ledger import Ledger
from loop.records import CheckRow, Judgement, Telemetry, VerdictRow
from loop.shards import read_shard
from tests.actors.run_test import RATCHET

pytestmark = pytest.mark.engine

SHORT = ["experiment=osp_smoke", "gate=off", "prompts.per_round=16", "judge.check.prompts=4", "learner.ranks=1"]
JUDGES = {
    "verifier": "verifier-exact",
    "reward_model": "reward_model-",
    "pair_model": "pair_model-",
    "llm": "llm-",
    "self": "self-r0-s0-",
    "ensemble": "ensemble-mean-",
    "mixture": "mixture-",
}


def ratchet(folder: Path, *arguments: str) -> str:
    command = [str(RATCHET), "run", "--json", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_kind_of_judge_completes_in_one_sweep(tmp_path: Path) -> None:
    summaries = json.loads(ratchet(tmp_path, "-m", *SHORT, f"judge={','.join(JUDGES)}"))
    assert [one["judge"] for one in summaries] == list(JUDGES)
    for one, version in zip(summaries, JUDGES.values(), strict=True):
        (round,) = one["rounds"]
        assert (round["judgements"], round["failed_judgements"]) == (16 * 3 * 2, 0), one["judge"]
        assert round["examples"] > 0, one["judge"]
        (run,) = (tmp_path / "runs").glob(f"osp_smoke-osp-{one['judge']}-*")
        ledger = Ledger(str(run / "ledger"))
        said = [row for ref in ledger.committed("judgements", 1).values() for row in read_shard(ref, Judgement)]
        assert {row.judge.startswith(version) for row in said} == {True}, said[0].judge
        verdicts = [row for ref in ledger.committed("verdicts", 1).values() for row in read_shard(ref, VerdictRow)]
        assert len(verdicts) == 16 * 6
        assert sum(row.value is not None for row in verdicts) == 16 * 3, "three of four responses meet the baseline"
        (check,) = ledger.committed("judge_checks", 1).values()
        assert {row.kind for row in read_shard(check, CheckRow)} == {"gold", "longer", "empty", "injected", "identical"}
        told = [row for ref in ledger.committed("telemetry", 1).values() for row in read_shard(ref, Telemetry)]
        used = [row for row in told if row.event == "usage"]
        assert bool(used), f"{one['judge']} counts what it uses"


def test_the_judge_of_the_schedule_takes_over_and_judgements_keep_their_judge(tmp_path: Path) -> None:
    later = ["+judge@later_judges.strict=verifier", "later_judges.strict.from_round=2"]
    ratchet(tmp_path, *SHORT, *later, "rounds=2", f"folder={tmp_path / 'run'}")
    ledger = Ledger(str(tmp_path / "run" / "ledger"))
    judges = [
        {row.judge for ref in ledger.committed("judgements", round).values() for row in read_shard(ref, Judgement)}
        for round in (1, 2)
    ]
    assert all(len(some) == 1 for some in judges), "a group is never judged by a mix"
    assert judges[0].pop().startswith("self-r0-s0-") and judges[1] == {"verifier-exact"}
    assert all(len(ledger.committed("judge_checks", round)) == 1 for round in (1, 2)), "each before it was trusted"

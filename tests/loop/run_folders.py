"""Folders of runs made for tests: the mark, the configuration, and a ledger with rows of two closed rounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from loop.composition import compose
from loop.ledger import Ledger
from loop.records import Policy, Prompt, Response, RoundRow, Telemetry
from loop.summary import RoundSummary
from tests.loop.factories import judgement, list_example, pair_example, response

IDENTITY = "1234abcd" * 4
PROMPT = Prompt(
    "p0",
    json.dumps([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]),
    [1, 2, 3],
    "4",
    "sums",
)
SUMMARIES = [
    RoundSummary(0, "r0-s0", gold_score=0.4, gold_low=0.3, gold_high=0.5),
    RoundSummary(
        1,
        "r1-s4",
        gold_score=0.7,
        gold_low=0.6,
        gold_high=0.8,
        prompts=2,
        responses=4,
        examples=2,
        judgements=4,
        steps=4,
    ),
]


def begun(folder: Path, *overrides: str, **mark: str) -> Path:
    """A run's folder as it is before its first round."""
    folder.mkdir(parents=True)
    config = compose(["experiment=demo", "gate=off", "prompts.per_round=4", "rollout.shard_prompts=2", *overrides])
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.structured(config)))
    (folder / "run.json").write_text(json.dumps({"identity": IDENTITY, "prompts": "p", "model": "m", **mark}))
    return folder


class Rows:
    """Writes rows into a run's ledger as its driver would."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(str(folder / "ledger"))
        self.ledger.claim()

    def add(self, table: str, round: int, rows: Sequence[Any], shard: int = 0) -> None:
        """One committed shard."""
        self.ledger.append(table, round, rows, shard)

    def close(self, summary: RoundSummary, digest: str = "", parent: str | None = None) -> None:
        """The rows that end a round, and the policy that it made."""
        number, step = summary.round, int(summary.policy.partition("-s")[2])
        if digest:
            row = Policy(summary.policy, number, step, digest, "{}", 1e-6, parent)
            self.add("policies", number, [row])
        self.add("rounds", number, [RoundRow(number, summary.policy, json.dumps(summary.to_json()))])


def answer(id: str, k: int, text: str, round: int = 2, policy: str = "r1-s4") -> Response:
    """A response to the one prompt."""
    return replace(response(k, text, prompt_id="p0", id=id), round=round, policy=policy)


def ran(folder: Path, *overrides: str, parent: str | None = None) -> Rows:
    """A run with rounds 0 and 1 closed and the first of two shards of round 2 made."""
    rows = Rows(begun(folder, *overrides))
    rows.add("prompts", 0, [PROMPT])
    rows.close(SUMMARIES[0], "digest of r0", parent)
    rows.close(SUMMARIES[1], "digest of r1")
    rows.add("telemetry", 1, [
        Telemetry(1, "generate", "phase", 100.0, seconds=3.0),
        Telemetry(1, "generate", "shard", 101.0, seconds=1.0, actor="generation-0", shard=0, attempt=1),
        Telemetry(1, "generate", "died", 102.0, actor="generation-0", detail="killed by signal 9"),
        Telemetry(1, "generate", "restarted", 103.0, actor="generation-0"),
        Telemetry(2, "judge", "died", 104.0, actor="judge-1"),
    ])  # fmt: skip
    rows.add("responses", 2, [answer("a" * 32, 0, "four"), answer("b" * 32, 1, "fi\x1b[2Jve\nor six")])
    rows.add("judgements", 2, [
        replace(judgement(["a" * 32, "b" * 32], 0.9), round=2, judgement_id="j1", raw="A\x07", judge="self of r1-s4"),
        replace(judgement(["b" * 32, "a" * 32], None, "failed"), round=2, judgement_id="j0", raw="neither"),
        replace(judgement(["c" * 32, "a" * 32], 0.5, "undecided"), round=2, judgement_id="j2"),
        replace(judgement(["c" * 32, "d" * 32], 0.1), round=2, judgement_id="j3", raw="about others"),
    ])  # fmt: skip
    rows.add("examples", 2, [
        pair_example("e1" + "0" * 30, "a" * 32, "b" * 32, 0.9, 1.5, round=2, prompt_id="p0"),
        pair_example("e1" + "1" * 30, "b" * 32, "a" * 32, 0.6, 0.5, round=2, prompt_id="p0"),
        replace(list_example("e2" + "0" * 30, ["a" * 32, "b" * 32], [0.75, 0.25]), round=2, prompt_id="p0"),
    ])  # fmt: skip
    return rows

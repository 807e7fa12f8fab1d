"""A run made for tests of its report: five rounds with everything that a round can tell, and texts that mean harm."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from loop.diagnostics.diagnostic import Diagnostic
from loop.evaluation.comparison import Comparison, Opponent
from loop.gate.result import Decision, GateResult
from loop.records import Prompt, Response, VerdictRow
from loop.summary import RoundSummary, RunSummary, wilson
from tests.loop.factories import judgement, pair_example, response
from tests.loop.run_folders import IDENTITY, Rows, begun

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(2)>'
HIDDEN = "a\x1b[2Jb\x00c\u202egnp.exe\u2066"
NASTY = (SCRIPT, IMAGE, HIDDEN, "</div></details></html>{{ 7 * 7 }}", "'; DROP TABLE responses; --", "y" * 4000)

PROMPTS = [
    Prompt(f"p{at}", json.dumps([{"role": "user", "content": text}]), [1, 2], SCRIPT if at == 0 else "4", "made")
    for at, text in enumerate(("2 + 2?", *NASTY))
]


def scored(number: int, right: int, **fields: Any) -> RoundSummary:
    """A round with so many of 200 test answers right."""
    low, high = wilson(right, 200)
    policy = f"r{number}-s{20 * number}"
    return replace(RoundSummary(number, policy, None, right / 200, low, high), candidate=policy, **fields)


def versus(against: Opponent, win_rate: float, half: float = 0.05) -> Comparison:
    """A comparison with an interval of that half width."""
    return Comparison(against, "r0-s0", 200, win_rate, win_rate - half, win_rate + half, win_rate - 0.02)


def gated(decision: Decision, candidate: str, incumbent: str) -> GateResult:
    """A decision with a reason that means harm."""
    reason = f"The lower bound against {incumbent} is {'above' if decision == 'promoted' else 'below'} 0.48 {SCRIPT}."
    return GateResult(decision, candidate, incumbent, reason, 0.48, 0.031, 0.92, [versus("incumbent", 0.6)])


def trained(number: int, right: int, kept: str | None = None, **fields: Any) -> RoundSummary:
    """A trained round; `kept` is the policy with which it ended where its candidate was rejected."""
    candidate = f"r{number}-s{20 * number}"
    colours = ("green", "amber", "red", "grey")
    told = {
        "policy": kept or candidate,
        "responses": 64, "sampled": 64, "examples": 20, "ties": 3, "judgements": 64, "failed_judgements": 1,
        "truncated": 2, "response_tokens_mean": 30.0 + 4 * number, "evaluation_tokens_mean": 31.0 + 3 * number,
        "loss": 0.69 - 0.03 * number, "kl": 0.4 * number, "steps": 20, "diversity": 0.9 - 0.05 * number,
        "retention_score": 0.6 - 0.01 * number, "judge_accuracy": 0.9,
        "seconds": {"generate": 8.0, "judge": 9.0, "pair": 0.4, "learn": 11.0, "push": 0.5, "evaluate": 3.0,
                    "score": 1.0, "kl": 0.7, "round": 29.0},
        "gate": gated("rejected" if kept else "promoted", candidate, "r0-s0"),
        "versus": [versus("incumbent", 0.44 if kept else 0.58), versus("best", 0.55), versus("initial", 0.6)],
        "diagnostics": [
            Diagnostic("length drift", 1.0 + number, colours[number % 4], f"Answers grow {IMAGE}: {HIDDEN}"),
            Diagnostic("entropy", 0.5, "green", "As in the round before."),
        ],
        "notes": [f"Note {SCRIPT} {HIDDEN}"],
    }  # fmt: skip
    return replace(scored(number, right), **{**told, **fields})


RUN = RunSummary(
    run="made-dpo-llm-1234abcd",
    identity=IDENTITY,
    experiment="made",
    algorithm="dpo",
    judge="llm",
    model=f"tiny {IMAGE}",
    seed=0,
    finished=True,
    initial=replace(scored(0, 80), candidate=None, seconds={"evaluate": 3.0, "probe": 1.0, "round": 4.0}),
    rounds=[trained(1, 110), trained(2, 128), trained(3, 90, "r2-s40"), trained(4, 140), trained(5, 132, "r4-s80")],
    seconds_total=161.4,
    seconds_to_first_token=31.0,
    peak_memory_gib=3.4,
    versions={"torch": f"2.13 {SCRIPT}"},
    prompts={"train": 2048, "test": 200},
)


def answer(number: int, prompt: int, k: int, text: str, purpose: str = "train", **fields: Any) -> Response:
    """A response of a round; the policy is the one with which the round began."""
    policy = f"r{number - 1}-s{20 * (number - 1)}" if purpose == "train" else f"r{number}-s{20 * number}"
    bare = response(k, text, prompt_id=f"p{prompt}", id=f"{purpose[0]}{number}-{prompt}-{k}")
    return replace(bare, round=number, policy=policy, purpose=purpose, **fields)


def made(folder: Path, run: RunSummary = RUN) -> Path:
    """The run's folder: nasty prompts and answers, judgements that fail, flip and compare, scores, test answers."""
    rows = Rows(begun(folder, f"prompts.system='{SCRIPT}'"))
    rows.add("prompts", 0, PROMPTS)
    for one in run.rounds:
        _train(rows, one.round)
    for one in (run.initial, *run.rounds):
        texts = [SCRIPT if one.round % 2 else NASTY[at % len(NASTY)] for at in range(len(PROMPTS))]
        tested = [answer(one.round, at, 0, text, "evaluate") for at, text in enumerate(texts)]
        rows.add("evaluation_responses", one.round, tested)
        said = [
            replace(judgement([each.response_id], float(at % 2)), round=one.round, judgement_id=f"t{one.round}-{at}")
            for at, each in enumerate(tested)
        ]
        rows.add("evaluation_judgements", one.round, said)
        rows.close(one)
    return folder


def _train(rows: Rows, number: int) -> None:
    pairs = [
        (answer(number, at, 0, text), answer(number, at, 1, NASTY[at % len(NASTY)], finish_reason="length"))
        for at, text in enumerate((SCRIPT, *NASTY))
    ]
    rows.add("responses", number, [one for pair in pairs for one in pair])
    said, verdicts, examples = [], [], []
    for at, (a, b) in enumerate(pairs):
        ids = [a.response_id, b.response_id]
        for order, value in ((ids, 0.9), (ids[::-1], 0.8 if at % 2 else 0.2)):
            name = f"j{number}-{at}-{order is ids}"
            status, raw = ("failed", IMAGE) if at == 3 else ("decided", SCRIPT + HIDDEN)
            told = judgement(order, None if at == 3 else value, status)
            said.append(replace(told, round=number, prompt_id=f"p{at}", judgement_id=name, raw=raw))
        verdicts.append(VerdictRow(number, f"p{at}", ids[0], ids[1], None if at == 3 else 0.55 + 0.05 * at))
        verdicts += [VerdictRow(number, f"p{at}", one, None, 0.1 * at + number) for one in ids]
        examples.append(
            pair_example(f"e{number}-{at}", *ids, 0.55 + 0.05 * at, 0.1 * at, round=number, prompt_id=f"p{at}")
        )
    rows.add("judgements", number, said)
    rows.add("verdicts", number, verdicts)
    rows.add("examples", number, examples)

"""Names of all metrics, and their axes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loop.diagnostics.diagnostic import Colour
from loop.evaluation.comparison import Comparison
from loop.learning import LearnReport
from loop.pulse import Reading
from loop.summary import RoundSummary, RunSummary

ROUND, STEP, SECONDS = "round", "step", "time/seconds"
AXES: dict[str, tuple[str, ...]] = {
    ROUND: (
        "quality/*",
        "data/*",
        "judge/*",
        "learner/*",
        "policy/*",
        "gate/*",
        "versus/*",
        "diagnostics/*",
        "diagnostics_colour/*",
        "seconds/*",
        "hook/*",
        "charts/*",
        "examples",
    ),
    STEP: ("optimiser/*",),
    SECONDS: ("actors/*", "queue/*", "rates/*"),
}
"""The axes, and the metrics on each. A step is an optimiser step counted over the run, as in a policy's label; seconds
are those that the run was under way."""

FIELDS = {
    "gold_score": "quality/gold_score",
    "gold_low": "quality/gold_low",
    "gold_high": "quality/gold_high",
    "diversity": "quality/diversity",
    "retention_score": "quality/retention_score",
    "evaluation_tokens_mean": "quality/tokens_mean",
    "prompts": "data/prompts",
    "responses": "data/responses",
    "sampled": "data/sampled",
    "examples": "data/examples",
    "ties": "data/ties",
    "judgements": "data/judgements",
    "failed_judgements": "data/failed_judgements",
    "truncated": "data/truncated",
    "response_tokens_mean": "data/response_tokens_mean",
    "judge_accuracy": "judge/accuracy",
    "judge_flips": "judge/flips",
    "loss": "learner/loss",
    "margin": "learner/margin",
    "accuracy": "learner/accuracy",
    "grad_norm": "learner/grad_norm",
    "steps": "learner/steps",
    "skipped_steps": "learner/skipped_steps",
    "kl": "policy/kl",
    "push_gap": "policy/push_gap",
}
"""Numbers of a round's summary and the names under which they are tracked."""

COLOURS: dict[Colour, int] = {"green": 0, "amber": 1, "red": 2}


def round_metrics(summary: RoundSummary) -> dict[str, float]:
    """Everything that was measured in a round, with the round itself. What was not measured is left out."""
    measured = {name: getattr(summary, field) for field, name in FIELDS.items()}
    if (gate := summary.gate) is not None:
        measured |= {
            "gate/promoted": int(gate.decision == "promoted"),
            "gate/bound": gate.bound,
            "gate/detectable": gate.detectable,
            "gate/equal_promoted": gate.equal_promoted,
        }
        measured |= {name: value for one in gate.comparisons for name, value in _compared("gate", one)}
    measured |= {name: value for one in summary.versus for name, value in _compared("versus", one)}
    measured |= {f"diagnostics/{one.name}": one.value for one in summary.diagnostics}
    measured |= {f"diagnostics_colour/{one.name}": COLOURS.get(one.colour) for one in summary.diagnostics}
    measured |= {f"seconds/{phase}": spent for phase, spent in summary.seconds.items()}
    measured |= {f"hook/{name}": value for name, value in summary.hook.items()}
    return {ROUND: summary.round} | {name: value for name, value in measured.items() if value is not None}


def _compared(prefix: str, one: Comparison) -> Iterator[tuple[str, float | None]]:
    """A comparison: `gate/win_rate_incumbent`, `gate/win_rate_incumbent_low`, ..."""
    yield f"{prefix}/win_rate_{one.against}", one.win_rate
    yield f"{prefix}/win_rate_{one.against}_low", one.low
    yield f"{prefix}/win_rate_{one.against}_high", one.high
    yield f"{prefix}/length_controlled_{one.against}", one.length_controlled
    yield f"{prefix}/prompts_{one.against}", one.prompts


def step_metrics(round: int, first: int, report: LearnReport) -> Iterator[dict[str, float]]:
    """One row for each optimiser step that a learn phase applied: `first` were made before it. Loss and terms are means
    over the step's examples; `skipped` counts the phase's steps so far that were not applied."""
    skipped = 0
    for made, outcome in enumerate(report.outcomes, 1):
        if outcome.norm is None:
            skipped += 1
            continue
        means = (total / outcome.examples for total in outcome.sums)
        told = zip(("loss", *report.terms), means, strict=False)
        yield {
            STEP: first + made - skipped,
            ROUND: round,
            **{f"optimiser/{name}": mean for name, mean in told},
            "optimiser/grad_norm": outcome.norm,
            "optimiser/seconds": outcome.seconds,
            "optimiser/tokens": outcome.tokens,
            "optimiser/examples": outcome.examples,
            "optimiser/skipped": skipped,
        }


def sample_metrics(now: Reading, before: Reading, seconds: float, passed: float) -> dict[str, float]:
    """A look at the pulse, `passed` seconds after the one before; `seconds` is where it stands on its axis."""
    row: dict[str, float] = {SECONDS: seconds, "actors/deaths": now.deaths, "actors/restarts": now.restarts}
    for fleet in now.fleets:
        row |= {f"actors/{fleet.noun}_{health}": number for health, number in fleet.health.items()}
        row |= {f"queue/{fleet.noun}_working": fleet.working, f"queue/{fleet.noun}_waiting": fleet.waiting}
    made = {unit: total - before.totals.get(unit, 0) for unit, total in now.totals.items()}
    return row | {f"rates/{unit}_per_s": number / passed for unit, number in made.items()}


def run_figures(summary: RunSummary) -> Mapping[str, Any]:
    """Figures of the run as a whole that are known."""
    figures = {
        "finished": summary.finished,
        "stopped_because": summary.stopped_because,
        "policy": summary.last.policy,
        "initial_gold_score": summary.initial.gold_score,
        "final_gold_score": summary.last.gold_score,
        "seconds_total": summary.seconds_total,
        "seconds_to_first_token": summary.seconds_to_first_token,
        "peak_memory_gib": summary.peak_memory_gib,
    }
    return {name: value for name, value in figures.items() if value is not None}

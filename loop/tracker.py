"""Experiment tracking besides the ledger: nowhere, or Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from loop.config import TrackerConfig, TrackerKind
from loop.errors import InfrastructureFailed, Refused
from loop.records import digest_of
from loop.summary import RoundSummary, RunSummary

AXIS = "round"
EXAMPLES = "examples"
SECONDS = "seconds/"  # followed by the name of a phase
METRICS = {
    "gold_score": "quality/gold_score",
    "gold_low": "quality/gold_low",
    "gold_high": "quality/gold_high",
    "prompts": "data/prompts",
    "responses": "data/responses",
    "sampled": "data/sampled",
    "examples": "data/examples",
    "ties": "data/ties",
    "judgements": "data/judgements",
    "failed_judgements": "data/failed_judgements",
    "judge_accuracy": "judge/accuracy",
    "judge_flips": "judge/flips",
    "truncated": "data/truncated",
    "response_tokens_mean": "data/response_tokens_mean",
    "loss": "learner/loss",
    "margin": "learner/margin",
    "accuracy": "learner/accuracy",
    "grad_norm": "learner/grad_norm",
    "steps": "learner/steps",
    "skipped_steps": "learner/skipped_steps",
    "kl": "policy/kl",
    "push_gap": "policy/push_gap",
}
"""Fields of a round's summary and the names under which they are tracked."""

SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")


class Tracker(Protocol):
    """Where metrics go. `start` first, `finish` last; `examples` of a round after its `round`."""

    def start(self, config: Mapping[str, Any], run_name: str, run_id: str, folder: Path) -> None:
        """Open the run, or go on with the one of the same name and id. Raises: Refused, InfrastructureFailed."""

    def round(self, summary: RoundSummary) -> None:
        """One point of every metric that was measured."""

    def examples(self, round: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """A table of examples; all rows have the same keys, which are its columns."""

    def finish(self, summary: RunSummary) -> None:
        """Close the run."""


class NullTracker:
    """Tracks nothing."""

    def start(self, config: Mapping[str, Any], run_name: str, run_id: str, folder: Path) -> None:
        """Nothing."""

    def round(self, summary: RoundSummary) -> None:
        """Nothing."""

    def examples(self, round: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Nothing."""

    def finish(self, summary: RunSummary) -> None:
        """Nothing."""


class WandbTracker:
    """Weights & Biases, without what it would collect by itself: console, code, git, machine, packages.

    `notice` gets the one sentence that tells where the run can be seen. Without a login the run is kept in its folder.
    The axis of every metric is the round, not wandb's own step.
    """

    def __init__(self, config: TrackerConfig, notice: Callable[[str], None]) -> None:
        self._config = config
        self._notice = notice
        self._run: Any = None

    def start(self, config: Mapping[str, Any], run_name: str, run_id: str, folder: Path) -> None:
        """Open the run under `folder`/wandb. Its id is a function of name and id, so resuming goes on with it."""
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        os.environ.setdefault("WANDB_DATA_DIR", str(folder / "wandb"))
        import wandb

        mode = _mode()
        try:
            self._run = wandb.init(
                project=self._config.project,
                entity=self._config.entity,
                name=run_name,
                id=digest_of("wandb", run_name, run_id)[:16],
                resume="allow",
                dir=folder,
                config=without_secrets(config, os.environ),
                settings=_settings(mode),
            )
        except wandb.Error as error:
            reason = str(error).splitlines()[0]
            raise InfrastructureFailed(
                f"wandb could not open the run: {reason} (WANDB_MODE=offline keeps it on disk)"
            ) from error
        self._run.define_metric(AXIS)
        for name in (*METRICS.values(), SECONDS + "*", EXAMPLES):
            self._run.define_metric(name, step_metric=AXIS)
        self._tell(mode)

    def round(self, summary: RoundSummary) -> None:
        """One history row per round, at wandb's even steps, so that a repeated round is ignored rather than doubled."""
        self._run.log(flat_metrics(summary), step=2 * summary.round, commit=True)

    def examples(self, round: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """The first rows as a table, in a history row of its own."""
        import wandb

        if not rows:
            return
        table = wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows[: self._config.examples]])
        self._run.log({AXIS: round, EXAMPLES: table}, step=2 * round + 1, commit=True)

    def finish(self, summary: RunSummary) -> None:
        """Write the run's own figures and close it, as failed if it did not finish; then all is written or sent."""
        import wandb

        self._run.summary.update(run_figures(summary))
        self._run.finish(exit_code=0 if summary.finished else 1)
        wandb.teardown()

    def _tell(self, mode: str) -> None:
        if mode == "disabled":
            self._notice("wandb is disabled by WANDB_MODE: nothing is tracked.")
        elif self._run.offline:
            place = Path(self._run.dir).parent
            self._notice(f"wandb is offline: `wandb sync {place}` sends the run later.")
        else:
            self._notice(f"wandb: {self._run.url}")


def open_tracker(config: TrackerConfig, notice: Callable[[str], None]) -> Tracker:
    """The tracker that the configuration names."""
    return WandbTracker(config, notice) if config.kind is TrackerKind.wandb else NullTracker()


def flat_metrics(summary: RoundSummary) -> dict[str, float]:
    """Everything that was measured in a round, by its tracked name, with the round as the axis."""
    measured = {name: getattr(summary, field) for field, name in METRICS.items()}
    metrics: dict[str, float] = {AXIS: summary.round}
    metrics |= {name: value for name, value in measured.items() if value is not None}
    return metrics | {SECONDS + phase: spent for phase, spent in summary.seconds.items()}


def run_figures(summary: RunSummary) -> dict[str, Any]:
    """Figures of the run as a whole that are known."""
    figures = {
        "finished": summary.finished,
        "stopped_because": summary.stopped_because,
        "initial_gold_score": summary.initial.gold_score,
        "final_gold_score": summary.last.gold_score,
        "seconds_total": summary.seconds_total,
        "seconds_to_first_token": summary.seconds_to_first_token,
        "peak_memory_gib": summary.peak_memory_gib,
    }
    return {name: value for name, value in figures.items() if value is not None}


def without_secrets(config: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The configuration, with the value of every secret environment variable replaced by *** in all its texts."""
    held = [value for name, value in environment.items() if name.upper().endswith(SECRET_NAMES) and len(value) >= 8]

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: clean(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(inner) for inner in value]
        if isinstance(value, str):
            for secret in held:
                value = value.replace(secret, "***")
        return value

    return {key: clean(value) for key, value in config.items()}


def _mode() -> str:
    """The user's own choice (WANDB_MODE, `wandb offline`), otherwise online if there is a login and offline if not."""
    import wandb
    from wandb.sdk.lib import wbauth

    settings = wandb.setup(wandb.Settings(silent=True)).settings
    if settings.mode != "online":
        return str(settings.mode)
    try:
        login = wbauth.authenticate_session(
            host=settings.base_url, source="ratchet", prompt=False, update_session=False
        )
    except wandb.errors.AuthenticationError as error:
        raise Refused(f"wandb cannot use the login that it found: {error}") from error
    if login is None and os.environ.get("WANDB_MODE") == "online":
        raise Refused("WANDB_MODE=online, but wandb finds no login: set WANDB_API_KEY or run `wandb login`.")
    return "offline" if login is None else "online"


def _settings(mode: str) -> Any:
    import wandb

    return wandb.Settings(
        mode=mode,
        console="off",
        symlink=False,
        allow_offline_artifacts=False,
        disable_code=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )

"""Tracks a run with Weights & Biases, live or offline."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loop.config import TrackerConfig
from loop.learning import LearnReport
from loop.pulse import Pulse
from loop.records import ShardRef, digest_of
from loop.summary import RoundSummary, RunSummary
from loop.tracking.alerts import Alert, end_alert, round_alerts
from loop.tracking.artifacts import alias_of, ledger_artifact, policy_artifact
from loop.tracking.charts import Chart
from loop.tracking.earlier import Earlier, read_earlier
from loop.tracking.metrics import AXES, ROUND, round_metrics, run_figures, step_metrics
from loop.tracking.sampling import SAMPLE_S, Sampler
from loop.tracking.secrets import without_secrets
from loop.tracking.wandb_session import mode_of, open_run, prepare, where

EXAMPLES = "examples"
TEXTS = ("prompt", "chosen", "rejected", "response", "replies")
"""Columns of the table of examples that hold what people and models wrote."""


class WandbTracker:
    """One run, over all processes that go on with it: what one of them gave is not given again by the next.

    `notice` gets sentences for a person. Without a login the run is kept in its folder. wandb's own step only counts
    rows; each metric has its axis. Everything is logged under a lock, because the pulse is sampled by another thread.
    """

    def __init__(self, config: TrackerConfig, notice: Callable[[str], None], sample_s: float = SAMPLE_S) -> None:
        self._config = config
        self._notice = notice
        self._sample_s = sample_s
        self._lock = threading.Lock()
        self._run: Any = None
        self._earlier = Earlier()
        self._sampler: Sampler | None = None
        self._red: frozenset[str] = frozenset()
        self._parent: RoundSummary | None = None

    def start(self, config: Mapping[str, Any], run_name: str, run_id: str, folder: Path) -> None:
        """Open the run under `folder`/wandb. Its id is a function of name and id, so resuming goes on with it."""
        prepare(folder)
        mode, its_id = mode_of(os.environ), digest_of("wandb", run_name, run_id)[:16]
        self._earlier = read_earlier(folder, its_id)
        told = self._clean(config if self._config.texts else _without_texts(config))
        self._run = open_run(self._config, mode, run_name, its_id, folder, told)
        self._earlier.next_step = max(self._earlier.next_step, self._run.step)
        for axis, metrics in AXES.items():
            self._run.define_metric(axis)
            for name in metrics:
                self._run.define_metric(name, step_metric=axis)
        self._notice(where(self._run, mode))

    def watch(self, pulse: Pulse) -> None:
        """Sample the pulse from now on."""
        self._sampler = Sampler(pulse, self._sampled, self._earlier.seconds, self._sample_s)

    def learnt(self, round: int, first: int, report: LearnReport) -> None:
        """A row for each optimiser step."""
        for row in step_metrics(round, first, report):
            self._log(row)

    def round(self, summary: RoundSummary) -> None:
        """A row for the round, its alerts, and its policy where it was exported and promoted."""
        self._log(round_metrics(summary))
        alerts, self._red = round_alerts(summary, self._red)
        for alert in alerts:
            if alert.title not in self._earlier.alerts:
                self._alert(alert)
        promoted = summary.gate is None or summary.gate.decision == "promoted"
        if summary.checkpoint is not None and promoted:
            self._policy(summary, Path(summary.checkpoint))

    def details(
        self, round: int, examples: Sequence[Mapping[str, Any]], charts: Sequence[Chart], shards: Sequence[ShardRef]
    ) -> None:
        """The first examples as a table, each chart, and an artifact that lists the shards."""
        import wandb

        if self._config.texts:
            columns = list(examples[0]) if examples else []
        else:
            columns = [name for name in examples[0] if name not in TEXTS] if examples else []
        if columns:
            rows = self._clean([[row[name] for name in columns] for row in examples[: self._config.examples]])
            self._log({ROUND: round, EXAMPLES: wandb.Table(columns=columns, data=rows)})
        for chart in charts:
            self._log({ROUND: round, f"charts/{chart.name}": _drawn(chart)})
        if shards and self._is_new(name := f"ledger-{self._run.id}", round):
            self._run.log_artifact(ledger_artifact(name, round, shards), aliases=[alias_of(round)])

    def finish(self, summary: RunSummary) -> None:
        """Write the run's own figures and close it, as failed if it did not finish; then all is written or sent."""
        import wandb

        if self._sampler is not None:
            self._sampler.stop()
        if (alert := end_alert(summary)) is not None:
            self._alert(alert)
        figures = dict(run_figures(summary))
        if not self._config.texts:
            figures.pop("stopped_because", None)
        self._run.summary.update(self._clean(figures))
        self._run.finish(exit_code=0 if summary.finished else 1)
        wandb.teardown()

    def _log(self, row: dict[str, Any]) -> None:
        """A row of history, without what was given before."""
        with self._lock:
            if new := self._earlier.new(row):
                self._run.log(new, step=self._earlier.next_step, commit=True)
                self._earlier.add_row({**new, "_step": self._earlier.next_step})

    def _sampled(self, row: dict[str, float]) -> None:
        with self._lock:
            self._run.log(row, step=self._earlier.next_step, commit=True)
            self._earlier.next_step += 1

    def _alert(self, alert: Alert) -> None:
        text = self._clean(alert.text) if self._config.texts else ""
        self._run.alert(alert.title, text or alert.title, level=alert.level)
        self._earlier.alerts.add(alert.title)

    def _policy(self, summary: RoundSummary, folder: Path) -> None:
        """The promoted policy as an output of the run, and the one before it as an input: offline, where nothing can be
        linked, only in its metadata."""
        import wandb

        name, parent = f"policy-{self._run.id}", self._parent
        self._parent = summary
        if not self._is_new(name, summary.round):
            return
        if parent is not None and not self._run.offline:
            try:
                self._run.use_artifact(f"{name}:{alias_of(parent.round)}")
            except wandb.Error as error:
                self._notice(f"wandb did not link the policy of round {parent.round} as an input: {error}")
        label = parent.policy if parent is not None else None
        made = policy_artifact(name, summary, label, folder, self._config.upload)
        self._run.log_artifact(made, aliases=[alias_of(summary.round)])

    def _is_new(self, artifact: str, round: int) -> bool:
        known = (artifact, alias_of(round)) in self._earlier.artifacts
        self._earlier.artifacts.add((artifact, alias_of(round)))
        return not known

    @staticmethod
    def _clean(told: Any) -> Any:
        return without_secrets(told, os.environ)


def _drawn(chart: Chart) -> Any:
    import wandb

    table = wandb.Table(columns=list(chart.columns), data=[list(row) for row in chart.rows])
    if chart.kind == "bar":
        return wandb.plot.bar(table, chart.x, chart.y, title=chart.title)
    return wandb.plot.line(table, chart.x, chart.y, stroke=chart.stroke, title=chart.title)


def _without_texts(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without the system prompt."""
    prompts = config.get("prompts")
    if not isinstance(prompts, Mapping) or not prompts.get("system"):
        return dict(config)
    return {**config, "prompts": {**prompts, "system": "(left out)"}}

"""`ratchet bench recipes`: every recipe on the demo with the same number of samples, in the same processes."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import pyarrow as pa

from actors.launch import prepare, quiet_libraries, run_in
from actors.signals import terminate_as_interrupt
from loop.bench_recipes_plan import BUDGET, chosen, points, prompts_for, seeds_of
from loop.bench_recipes_report import Outcome, Report, as_figures, completed, failed, planned
from loop.bench_recipes_table import lines_of, progress
from loop.composition import compose
from loop.config import RunConfig
from loop.describe import versions
from loop.drawing import checked
from loop.errors import InfrastructureFailed, RatchetError
from loop.ledger import Ledger
from loop.recipes import on_demo, recipe_files
from loop.records import Telemetry
from loop.samplers.wanted import NOT_SAMPLED
from loop.summary import RunSummary
from loop.task import store_of
from loop.validation import validate
from loop.view import View
from loop.view.plain import PlainView
from loop.view.text import NOTHING

if TYPE_CHECKING:
    from actors.system import System

WIDTH = 140
LOG = "recipes.log"


def bench_recipes(names: str | None, seeds: str, folder: str | None, plot: str | None, as_json: bool) -> int:
    """Run the recipes, core ones unless others are named, over the seeds; print the table and draw the figure if a file
    is named. The exit status: that of the first run that did not come to its end.

    Raises: Refused for names, seeds or files that make no sense, before anything is run.
    """
    file = checked(plot) if plot else None
    files = recipe_files()
    recipes = chosen(names, [one.name for one in files if one.tier == "core"], [one.name for one in files])
    order = points(recipes, seeds_of(seeds))
    with ExitStack() as stack:
        work = Path(folder) if folder else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ratchet-")))
        work.mkdir(parents=True, exist_ok=True)
        log = stack.enter_context((work / LOG).open("a", encoding="utf-8", buffering=1))
        shared = stack.enter_context(Shared(PlainView(log)))
        report = Report(BUDGET, measured(order, shared, work, keep=folder is not None), machine())
    if as_json:
        print(json.dumps(as_figures(report), indent=2))
    else:
        print(*lines_of(report, max(WIDTH, shutil.get_terminal_size().columns)), sep="\n")
    if file is not None:
        from loop.bench_recipes_plot import draw

        draw(report, file)
    return report.status


def machine() -> dict[str, object]:
    """Where the figures come from."""
    return {"cores": len(os.sched_getaffinity(0)), "load before": round(os.getloadavg()[0], 1), **versions()}


def measured(order: Sequence[tuple[str, int]], shared: Shared, work: Path, keep: bool) -> list[Outcome]:
    """What each run came to, in order; a line about each as soon as it ends."""
    outcomes = []
    for recipe, seed in order:
        outcomes.append(outcome_of(recipe, seed, shared, work / f"{recipe}-{seed}"))
        print(progress(outcomes[-1]), file=sys.stderr, flush=True)
        if not keep:
            shutil.rmtree(work / f"{recipe}-{seed}", ignore_errors=True)
    return outcomes


def outcome_of(recipe: str, seed: int, shared: Shared, folder: Path) -> Outcome:
    """One run in a folder, however it ends."""
    plan = Outcome(recipe, seed, NOTHING, 0, 0)
    try:
        config = configured(recipe, seed, folder)
        plan = planned(config)
        shared.start(config)
        summary = shared.run(config)
    except RatchetError as error:
        return failed(plan, error)
    return completed(plan, summary, samples_in(Ledger(store_of(folder, None))))


def configured(recipe: str, seed: int, folder: Path) -> RunConfig:
    """The demo with a recipe, its settings there, and as many prompts as the budget gives. Raises: Refused."""
    (there,) = on_demo([recipe]).values()
    own = (f"seed={seed}", f"folder={folder.absolute()}", "name=bench")
    config = compose(["experiment=demo", "gate=off", f"algorithm={recipe}", *there.overrides, *own])
    config.prompts.per_round = prompts_for(config, BUDGET)
    config.evaluate.every = config.rounds
    return validate(config)


def samples_in(ledger: Ledger) -> int:
    """How many responses policies gave to the prompts of the rounds, drafts included, judgements not. A draft that is a
    member of its group, too, counts once: both have the seed of the one sample."""
    tables = [ledger.read(table, ["seed", "sampling", "purpose"]) for table in ("drafts", "responses")]
    rows = zip(*pa.concat_tables(tables).to_pydict().values(), strict=True)
    return len({seed for seed, sampling, purpose in rows if sampling != NOT_SAMPLED and purpose != "judgement"})


class Shared:
    """The processes that all runs share, started for the first one, and again after they have failed. `view` is told
    what the runs tell. Use as a context: leaving it ends them."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._running = ExitStack()
        self._system: System | None = None

    def __enter__(self) -> Shared:
        terminate_as_interrupt()
        quiet_libraries()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.__exit__(kind, error, trace)

    def start(self, config: RunConfig) -> None:
        """Have the processes up that a run needs."""
        from actors.system import System  # Ray, vLLM and DeepSpeed: seconds to import

        if self._system is None:
            self._system = self._running.enter_context(System(prepare(config), _unheard, self.view.notice))
            self._system.meet()

    def run(self, config: RunConfig) -> RunSummary:
        """A whole run. Raises: RatchetError."""
        assert self._system is not None, "started before"
        try:
            return run_in(self._system, config, self.view)
        except InfrastructureFailed:
            self._running.close()
            self._system = None
            raise


def _unheard(event: Telemetry) -> None:
    """What befalls the processes between runs belongs to no ledger."""

"""One run from configuration to exit status: everything that can be refused is refused before anything is written or
started."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from actors.judges.early import check_judges
from actors.signals import terminate_as_interrupt
from loop.book import Book
from loop.composition import compose, override, spell_out_paths
from loop.config import RunConfig, TrackerKind
from loop.describe import banner, blank_summary, plain
from loop.difference import held_config
from loop.disk import need_of, require_room
from loop.driver import run
from loop.errors import Fenced, Refused, Stopped, StoreFailed
from loop.exports import pin
from loop.finding import find_run
from loop.fingerprint import model_fingerprint
from loop.folder import begin, choose, locked, require_identity, summary_if_finished
from loop.fork import resolve
from loop.identity import identity_of, run_folder
from loop.ledger import Ledger
from loop.memory import MemoryWatch
from loop.model_folder import weight_bytes
from loop.prompts.loading import load_prompts
from loop.prompts.tokenizer import load_tokenizer
from loop.push import refuse_oversized
from loop.records import Telemetry
from loop.report.writing import write_report
from loop.scale import forget
from loop.status import State
from loop.summary import RunSummary
from loop.sweeping import points_of
from loop.task import Task
from loop.tracking import open_tracker
from loop.validation import held_out_columns, required_columns, validate
from loop.view import View, open_view

if TYPE_CHECKING:
    from actors.system import System

EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
"""Keys of a model's configuration that say that it is a mixture of experts."""


def show(overrides: Sequence[str], multirun: bool) -> int:
    """Print the composed configuration; of a sweep, that of every point."""
    points = points_of(overrides) if multirun else [list(overrides)]
    configs = [validate(compose(point)) for point in points]
    print(*(OmegaConf.to_yaml(OmegaConf.structured(config)) for config in configs), sep="---\n", end="")
    return 0


def launch(overrides: Sequence[str], as_json: bool) -> int:
    """Compose, then run, or go on with the run of the same identity. Raises: RatchetError."""
    return _launched(validate(compose(overrides)), as_json)


def resume(run: str, overrides: Sequence[str], as_json: bool) -> int:
    """Go on with a run by its folder or name; overrides may change where and how fast, not what the data mean.
    Raises: RatchetError."""
    folder = find_run(run)
    config = override(held_config(folder), overrides)
    config.folder, config.fresh = str(folder), False
    return _launched(validate(config), as_json)


def _launched(config: RunConfig, as_json: bool) -> int:
    summary = launch_config(config, progress_to_stderr=as_json)
    if as_json:
        print(json.dumps(summary.to_json(), indent=2))
    return 0


def launch_config(config: RunConfig, progress_to_stderr: bool) -> RunSummary:
    """Run one configuration, or show what it came to when it is finished already."""
    started = time.monotonic()
    quiet_libraries()
    view = open_view(sys.stderr if progress_to_stderr else sys.stdout, os.environ)
    try:
        task = prepare(config)
        summary = summary_if_finished(task.folder)
        if summary is None:
            with locked(task.folder):
                summary = execute(task, view, started)
        else:
            view.notice(f"{task.folder} is finished; fresh=true starts another run beside it.")
        view.final(summary, task.folder)
    finally:
        view.close()
    return summary


def prepare(config: RunConfig) -> Task:
    """Read everything that the run stands on. Raises: Refused; nothing was written."""
    parent = resolve(config.parent, config.runs) if config.parent is not None else None
    if parent is not None:
        config.parent = f"{parent.folder}@{parent.round}"
        config.model.path, config.model.revision = str(parent.model_path), None
    spell_out_paths(config)
    tokenizer = load_tokenizer(config.model.path, config.model.revision)
    check_model(config)
    check_judges(config)
    pool = load_prompts(
        config.prompts,
        tokenizer,
        config.rollout.max_context - config.rollout.max_tokens,
        required_columns(config),
        config.evaluate.gate_share,
        held_out_columns(config),
    )
    if not pool.test:
        raise Refused("no held-out prompt is left for the test: lower evaluate.gate_share or hold out more prompts")
    model_digest = model_fingerprint(config.model.path)
    label = parent.label if parent is not None else None
    identity = identity_of(config, pool.digest, model_digest, label)
    task = Task(config, identity, choose(run_folder(config, identity), config), pool, model_digest, label)
    require_identity(task)
    if Path(config.model.path).is_dir() and summary_if_finished(task.folder) is None:
        require_room(task.folder, need_of(task, weight_bytes(Path(config.model.path), config.model.dtype)))
    return task


def check_model(config: RunConfig) -> None:
    """Raises: Refused when the model is none that can be trained and pushed here, or its context is too short."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    path, folder = config.model.path, Path(config.model.path)
    try:
        model = AutoConfig.from_pretrained(path, revision=config.model.revision)
    except (OSError, ValueError) as error:
        raise Refused(f"model.path={path}: {str(error).splitlines()[0]}") from error
    if model.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise Refused(f"model.path={path}: {model.model_type} is not a causal language model")
    if any(getattr(model, name, None) for name in EXPERTS):
        raise Refused(f"model.path={path}: pushing the weights of mixture-of-experts models is not supported")
    longest = getattr(model, "max_position_embeddings", None)
    if longest is not None and config.rollout.max_context > longest:
        raise Refused(
            f"rollout.max_context={config.rollout.max_context} is more than the model's {longest} positions: lower it"
        )
    if folder.is_dir():
        refuse_oversized(weight_bytes(folder, config.model.dtype), config.push.max_store_gb)


def execute(task: Task, view: View, started: float) -> RunSummary:
    """Start everything, run the loop from where the ledger stands, end everything. What was committed before an error
    stays, and the summary says why it ended."""
    from actors.system import System  # Ray, vLLM and DeepSpeed: seconds to import

    terminate_as_interrupt()

    def new(task: Task, book: Book) -> System:
        return System(task, book.told, view.notice, book.rounds_closed, book.pulse.fleet)

    return _conducted(task, view, started, new)


def run_in(system: System, config: RunConfig, view: View) -> RunSummary:
    """Run one configuration with the processes of a system that is there, whatever it ran before, or show what it came
    to when it is finished already. Raises: Refused also when the run needs other processes."""
    started = time.monotonic()
    quiet_libraries()
    task = prepare(config)
    if (summary := summary_if_finished(task.folder)) is not None:
        return summary
    system.require_fit(task)

    def adopted(task: Task, book: Book) -> AbstractContextManager[System]:
        return nullcontext(system.adopt(task, book.told, view.notice, book.rounds_closed, book.pulse.fleet))

    with locked(task.folder):
        return _conducted(task, view, started, adopted)


def _conducted(
    task: Task, view: View, started: float, open_fleets: Callable[[Task, Book], AbstractContextManager[System]]
) -> RunSummary:
    """A run from the beginning of its folder to its summary, with the fleets that are opened for it."""
    config = task.config
    forget(task.folder)
    if task.parent is not None:
        pin(Path(config.model.path), task.identity)
    begin(task, OmegaConf.to_yaml(OmegaConf.structured(config)))
    ledger = Ledger(task.store)
    driver = ledger.claim()
    task = replace(task, prompts_path=ledger.append("prompts", 0, task.pool.everything).path)
    view.banner(banner(task))
    tracker = open_tracker(config.tracker, view.notice)
    tracker.start(plain(config), task.folder.name, task.identity, task.folder)
    with MemoryWatch(os.getpid()) as memory:
        shown = 0 if config.tracker.kind is TrackerKind.none else config.tracker.examples
        book = Book(
            *(task, blank_summary(task), ledger, driver, view, tracker),
            *(lambda: memory.peak_gib, started, shown, lambda summary: write_report(task.folder, summary, ledger)),
        )
        if book.rounds_closed > config.rounds:  # it ended between its last round and its summary
            return book.finish()
        if driver > 1:
            book.told(Telemetry(book.rounds_closed, "start", "resumed", time.time(), detail=f"as driver {driver}"))
        if book.rounds_closed:
            view.notice(f"Going on at round {book.rounds_closed}; everything committed before stays.")
        try:
            with ExitStack() as running:
                book.status(book.rounds_closed, ["start"])
                with view.phase(0, "start", 0, ""):
                    fleets = running.enter_context(open_fleets(task, book))
                try:
                    return run(task, fleets, book)
                except KeyboardInterrupt:
                    book.flush()  # what a learner's checkpoint stands on is committed before it
                    fleets.park()
                    raise
        except KeyboardInterrupt:
            close_early(book, "interrupted", "interrupted")
            raise
        except BaseException as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            close_early(book, reason, "stopped" if isinstance(error, Stopped) else "failed", error)
            raise


def close_early(book: Book, reason: str, state: State, error: BaseException | None = None) -> None:
    """Keep what was made so far, where it can still be written, and say why the run ended."""
    if isinstance(error, Fenced):
        return  # the folder is another driver's
    with suppress(StoreFailed):  # the error under way says more
        if not isinstance(error, StoreFailed):
            book.flush()
        book.stop(reason, state)


def quiet_libraries() -> None:
    """Progress bars and advice of libraries would drown the run's own lines."""
    from actors.cluster import QUIET

    os.environ.update(QUIET)
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

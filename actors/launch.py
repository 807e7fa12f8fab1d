"""One run from configuration to exit status: everything that can be refused is refused before anything is written or
started."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from omegaconf import OmegaConf

from loop.book import Book
from loop.composition import compose
from loop.config import JudgeKind, RunConfig
from loop.describe import banner, blank_summary, plain
from loop.driver import run
from loop.errors import RatchetError, Refused
from loop.folder import begin, claim, summary_if_finished
from loop.identity import identity_of, model_fingerprint, run_folder
from loop.judges.judge import CAPABILITIES
from loop.judges.verdict_token import verdict_tokens
from loop.ledger import Ledger
from loop.memory import MemoryWatch
from loop.prompts.loading import load_prompts
from loop.prompts.tokenizer import load_tokenizer
from loop.summary import RunSummary
from loop.task import Task
from loop.tracker import open_tracker
from loop.validation import required_columns, validate
from loop.view import View, open_view


def show(overrides: Sequence[str]) -> int:
    """Print the composed configuration."""
    print(OmegaConf.to_yaml(OmegaConf.structured(validate(compose(overrides)))), end="")
    return 0


def launch(overrides: Sequence[str], as_json: bool) -> int:
    """Compose, then run. Raises: RatchetError."""
    launch_config(validate(compose(overrides)), as_json)
    return 0


def launch_config(config: RunConfig, as_json: bool) -> RunSummary:
    """Run one configuration, or show what it came to when it is finished already."""
    started = time.monotonic()
    quiet_libraries()
    view = open_view(sys.stderr if as_json else sys.stdout, os.environ)
    try:
        task = prepare(config)
        summary = summary_if_finished(task.folder)
        if summary is None:
            summary = execute(task, view, started)
        else:
            view.notice(f"{task.folder} is finished; fresh=true starts another run beside it.")
        view.final(summary, task.folder)
    finally:
        view.close()
    if as_json:
        print(json.dumps(summary.to_json(), indent=2))
    return summary


def prepare(config: RunConfig) -> Task:
    """Read everything that the run stands on. Raises: Refused; nothing was written."""
    tokenizer = load_tokenizer(config.model.path, config.model.revision)
    check_context(config)
    if config.judge.kind is JudgeKind.self:
        verdict_tokens(tokenizer, config.judge.labels)
    pool = load_prompts(
        config.prompts,
        tokenizer,
        config.rollout.max_context - config.rollout.max_tokens,
        required_columns(config),
        config.evaluate.gate_share,
        ["answer"] if CAPABILITIES[config.judge.kind].needs_reference_answer else [],
    )
    identity = identity_of(config, pool.digest, model_fingerprint(config.model.path))
    folder = claim(run_folder(config, identity), identity, config)
    return Task(config, identity, folder, pool)


def check_context(config: RunConfig) -> None:
    """Raises: Refused when the model is no causal language model, or its context is shorter than the configuration
    wants."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    try:
        model = AutoConfig.from_pretrained(config.model.path, revision=config.model.revision)
    except (OSError, ValueError) as error:
        raise Refused(f"model.path={config.model.path}: {str(error).splitlines()[0]}") from error
    if model.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise Refused(f"model.path={config.model.path}: {model.model_type} is not a causal language model")
    longest = getattr(model, "max_position_embeddings", None)
    if longest is not None and config.rollout.max_context > longest:
        raise Refused(f"rollout.max_context={config.rollout.max_context} is more than the model's {longest} positions")


def execute(task: Task, view: View, started: float) -> RunSummary:
    """Start everything, run the loop, end everything. What was committed before an error stays, and the summary says
    why it ended."""
    from actors.system import System  # Ray, vLLM and DeepSpeed: seconds to import

    config = task.config
    begin(task.folder, task.identity, OmegaConf.to_yaml(OmegaConf.structured(config)))
    ledger = Ledger(task.store)
    ledger.append("prompts", 0, task.pool.everything)
    view.banner(banner(task))
    tracker = open_tracker(config.tracker, view.notice)
    tracker.start(plain(config), task.folder.name, task.identity, task.folder)
    with MemoryWatch(os.getpid()) as memory:
        book = Book(
            task.folder,
            blank_summary(task),
            ledger,
            view,
            tracker,
            lambda: memory.peak_gib,
            started,
            config.tracker.examples,
        )
        try:
            with ExitStack() as running:
                with view.phase(0, "start", 0, ""):
                    fleets = running.enter_context(System(task))
                return run(task, fleets, book)
        except (RatchetError, KeyboardInterrupt) as error:
            book.stop(str(error) or "interrupted")
            raise


def quiet_libraries() -> None:
    """Progress bars and advice of libraries would drown the run's own lines."""
    from actors.cluster import QUIET

    os.environ.update(QUIET)
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

"""`ratchet judge`: ask a judge about cases whose better response is known, and say how good it is."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, Group

from actors.judge_processes import Build, ask, build
from actors.signals import terminate_as_interrupt
from loop.composition import compose
from loop.config import RunConfig
from loop.drawing import checked
from loop.errors import Refused
from loop.judge_config import ImplicitConfig, JudgeConfig, SelfConfig
from loop.judge_files import members_of
from loop.judge_problems import problems_of_judges, same_at_first
from loop.judge_study import forgery_report
from loop.judge_study.asking import Answered, Manner, Outcome, outcomes, questions
from loop.judge_study.attacks import ATTACKS, Attack, armed, attacking, read_attacks
from loop.judge_study.cases import Case, read_cases, refuse_without_answers
from loop.judge_study.comparison import side_by_side
from loop.judge_study.figures import Figures, figures
from loop.judge_study.forgery import Forgery, forgery, unused
from loop.judge_study.report import as_json, as_tables
from loop.judges.capabilities import asks_engines, capabilities_of, is_certain
from loop.judges.judge import Asked
from loop.view.plain import QUIET_S
from loop.view.text import duration, visible

WIDTH = 100
POLICY = ("model", "experiment")
"""Groups that say what the policy is."""


def judge(
    file: str,
    overrides: Sequence[str],
    against: str | None,
    limit: int | None,
    plot: str | None,
    json_wanted: bool,
    build: Build = build,
    attacks: str | None = None,
) -> int:
    """Study the judge of the overrides, and beside it that of `against` (overrides in one string, in place of the
    first one's `judge` overrides); print figures; the exit status. With `attacks` (a file; empty: the ones that come
    with the product) the figures are how easily strings forge its verdicts. Raises: RatchetError."""
    if plot and attacks is not None:
        raise Refused("--plot draws accuracies, and --attacks measures none: leave one of them out.")
    if plot:
        drawing = checked(plot)
    configs = [composed(overrides)]
    if against is not None:
        configs.append(composed([one for one in overrides if not _of_judge(one)] + _words(against)))
    strings = None if attacks is None else read_attacks(attacks or str(ATTACKS))
    cases = read_cases(file, limit)
    for config in configs:
        if capabilities_of(config.judge).needs_reference_answer:
            refuse_without_answers(cases, config.judge.name)
    for config in configs:
        _refuse_models(config)
    terminate_as_interrupt()
    notes = [note for config in configs for note in notes_of(config)]
    if strings is not None:
        _show_attacked(file, attacks or ATTACKS.name, configs, cases, strings, notes, json_wanted, build)
        return 0
    studied = [studied_of(config, cases, build, sys.stderr) for config in configs]
    found = [figures(c.judge.name, some, answered) for c, (some, answered) in zip(configs, studied, strict=True)]
    compared = side_by_side(studied[0][0], studied[1][0]) if len(studied) > 1 else None
    if json_wanted:
        _print_json(as_json(file, found, compared, notes))
    else:
        _print(as_tables(file, found, compared, notes))
    if plot:
        _draw(found, drawing)
    return 0


def composed(overrides: Sequence[str]) -> RunConfig:
    """The configuration, of whose judges only the one to be studied is left; only a judge that stands on the policy
    needs one. Raises: Refused."""
    given = {one.lstrip("+~").split("=", 1)[0].split(".", 1)[0] for one in overrides}
    config = compose(overrides if given & {*POLICY} else [*overrides, "model.path="])
    config = replace(config, later_judges={}, evaluate=replace(config.evaluate, judge=None))
    for problem in (*problems_of_judges(config), *same_at_first(config.judge)):
        raise Refused(problem)
    if not config.model.path and _stands_on_policy(config.judge):
        raise Refused(f"judge={config.judge.name} stands on the policy: say which one with model.path=MODEL")
    return config


def _refuse_models(config: RunConfig) -> None:
    from actors.judges.early import check_judges  # transformers: seconds to import

    check_judges(config)


def studied_of(
    config: RunConfig, cases: Sequence[Case], build: Build, progress: TextIO
) -> tuple[list[Outcome], Answered]:
    """What one judge says of the cases. A judge that scores is asked for scores, which say all that its comparisons
    would. Raises: RatchetError."""
    manner = manner_of(config)
    answered = _answers(config, questions(cases, manner), build, progress)
    return outcomes(cases, answered.replies, manner), answered


def attacked_of(
    config: RunConfig, cases: Sequence[Case], attacks: Sequence[Attack], build: Build, progress: TextIO
) -> Forgery:
    """How easily strings forge one judge's verdicts. Raises: RatchetError."""
    manner, carrying = manner_of(config), armed(cases, attacks, config.seed)
    answered = _answers(config, attacking(carrying, manner), build, progress)
    told = outcomes([one.case for one in carrying], answered.replies, manner)
    return forgery(config.judge.name, carrying, told, answered)


def _show_attacked(
    file: str,
    named: str,
    configs: Sequence[RunConfig],
    cases: Sequence[Case],
    attacks: Sequence[Attack],
    notes: Sequence[str],
    json_wanted: bool,
    build: Build,
) -> None:
    found = [attacked_of(config, cases, attacks, build, sys.stderr) for config in configs]
    notes = [*notes, *(note for one in found for note in unused(one, attacks))]
    if json_wanted:
        _print_json(forgery_report.as_json(file, named, found, notes))
    else:
        _print(forgery_report.as_tables(file, named, found, notes))


def manner_of(config: RunConfig) -> Manner:
    """How the configuration's judge is studied."""
    return Manner(pairwise=not capabilities_of(config.judge).pointwise, certain=is_certain(config.judge))


def _answers(config: RunConfig, asked: Sequence[Asked], build: Build, progress: TextIO) -> Answered:
    _settle(config)
    with Progress(config.judge.name, len(asked), progress) as shown:
        return ask(config, asked, shown.advance, build)


def _print_json(found: Mapping[str, Any]) -> None:
    print(json.dumps(found, indent=2, ensure_ascii=False))


def _print(tables: Group) -> None:
    width = max(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    Console(width=width, highlight=False).print(tables, crop=False)  # headings may be longer than the tables


def notes_of(config: RunConfig) -> list[str]:
    """What a person must know to read the figures."""
    if not asks_engines(config.judge):
        return []
    return [f"judge={config.judge.name}: `current` is the policy with which a run would begin, {config.model.label}."]


def _stands_on_policy(judge: JudgeConfig) -> bool:
    if isinstance(judge, SelfConfig):
        return judge.model in ("current", "initial")
    if isinstance(judge, ImplicitConfig):
        return bool({"initial", "current"} & {judge.model, judge.weak})
    return any(_stands_on_policy(member) for member in members_of(judge).values())


def _words(against: str) -> list[str]:
    try:
        return shlex.split(against)
    except ValueError as error:
        raise Refused(f"--against {against}: {error}") from error


def _of_judge(override: str) -> bool:
    return re.match(r"[+~]*judge\b", override) is not None


def _draw(found: Sequence[Figures], file: Path) -> None:
    from loop.judge_study.plot import draw  # matplotlib: seconds to import

    draw(found, file)


def _settle(config: RunConfig) -> None:
    """What the judge's processes inherit: quiet libraries, and their share of the cores."""
    from actors.cluster import QUIET, pinned, threads

    os.environ.update(QUIET | pinned(threads(config.cluster, config.judge.replicas)))


class Progress:
    """Lines about how far a judge has come: at the start, at the end, and few in between."""

    def __init__(self, name: str, total: int, file: TextIO) -> None:
        self._name, self._total, self._file = visible(name), total, file
        self._done, self._started = 0, time.monotonic()
        self._told = self._started

    def __enter__(self) -> Progress:
        self._tell(f"{self._total:,} questions")
        return self

    def advance(self, n: int) -> None:
        """Count answered questions."""
        self._done += n
        now = time.monotonic()
        if now - self._told >= QUIET_S and self._done < self._total:
            self._told = now
            self._tell(f"{self._done:,}/{self._total:,} questions  {duration(now - self._started)}")

    def __exit__(self, kind: object, *_: object) -> None:
        ended = "broken off after " if kind is not None else ""
        self._tell(f"{ended}{self._done:,} questions in {duration(time.monotonic() - self._started)}, start included")

    def _tell(self, what: str) -> None:
        print(f"judge={self._name}  {what}", file=self._file, flush=True)

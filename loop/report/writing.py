"""`report.html` in a run's folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from loop.finding import store_of
from loop.folder import CONFIG, read_mark
from loop.ledger import Ledger
from loop.report.answers import read_followed
from loop.report.curves import gold_curve, learning_curves
from loop.report.examples import read_examples
from loop.report.headline import headline
from loop.report.page import Report, decisions, diagnosed, figures, notes, remarks, round_rows, settings
from loop.report.plots import Curves, Histograms
from loop.report.reliability import read_cases, reliability_plot
from loop.report.rendering import rendered
from loop.report.scores import read_rewards, read_scores, read_sureness, reward_plot, scores_plot, sureness_plot
from loop.report.standing import all_rounds, is_rejected
from loop.report.tables import Tables, tables
from loop.report.text import shown
from loop.report.times import time_bars
from loop.store import open_store
from loop.summary import RunSummary

FILE_NAME = "report.html"

CONFIG_LONGEST = 40_000
"""Characters of the configuration that are shown."""


def write_report(folder: Path, run: RunSummary, ledger: Ledger | None = None) -> Path:
    """Write `report.html` into a run's folder: a reader sees the old file or the new, never a part. Returns its path.

    `ledger`: the run's, where it is open already. What is not committed yet is not in the report. Raises: StoreFailed.
    """
    report = report_of(folder, run, ledger if ledger is not None else Ledger(store_of(folder)))
    open_store(folder).write(FILE_NAME, page_of(report))
    return folder / FILE_NAME


def page_of(report: Report) -> bytes:
    """The page as UTF-8."""
    return rendered("run.html.j2", report=report).encode()


def report_of(folder: Path, run: RunSummary, ledger: Ledger) -> Report:
    """Everything that the page tells. Raises: StoreFailed."""
    trained = [one.round for one in run.rounds]
    with tables(ledger) as read:
        scores = _scores(read, run, trained)
        newest = read.newest("examples")
        if newest is None:
            newest = read.newest("responses")
        examples = read_examples(read, newest) if newest is not None else []
        measured = [one.round for one in all_rounds(run) if one.gold_score is not None]
        followed = read_followed(read, measured, {one.round for one in run.rounds if is_rejected(one)})
    told = headline(run)
    header, table, left_out = round_rows(run)
    columns, rows = diagnosed(run)
    report = Report(
        run=run,
        headline=told,
        figures=tuple(figures(run, told)),
        gold=gold_curve(run),
        curves=tuple(learning_curves(run)),
        header=header,
        table=table,
        left_out=left_out,
        decisions=tuple(decisions(run)),
        diagnosed=tuple(columns),
        diagnostics=tuple(rows),
        remarks=tuple(remarks(rows)),
        times=time_bars(run),
        scores=tuple(scores),
        examples_round=newest,
        examples=tuple(examples),
        followed=tuple(followed),
        notes=tuple(notes(run)),
        settings=tuple(settings(run, read_mark(folder).get("parent"))),
        config=_config(folder),
    )
    return replace(report, missing=tuple(missing(report)))


def missing(report: Report) -> list[tuple[str, str]]:
    """The sections that a run has nothing for, and why."""
    keys = {one.key for one in (*report.curves, *report.scores)}
    lacking = [
        ("Gold score", report.gold is None, "no answer to a test prompt was scored"),
        ("Win rates", "wins" not in keys, "no round was compared with another policy"),
        ("Reward against gold score", "reward" not in keys, "the judge gives no scores, or no two policies have both"),
        ("Gate", not report.decisions, "it was not asked"),
        ("Diagnostics", not report.diagnostics, "no round has any"),
        ("Time by phase", report.times is None, "no round told its seconds"),
        ("Judge's reliability", "reliability" not in keys, "it compared no right answer with a wrong one"),
        ("Examples to look at", not report.examples, "no round has answers yet"),
        ("Same prompts, round after round", not report.followed, "no answer to a test prompt was scored"),
    ]
    return [(name, why) for name, lacks, why in lacking if lacks]


def _scores(read: Tables, run: RunSummary, rounds: list[int]) -> list[Histograms | Curves]:
    if not rounds:
        return []
    found: list[Histograms | Curves | None] = []
    if (scores := read_scores(read, rounds)) is not None:
        found += [scores_plot(scores), reward_plot(run, read_rewards(read, rounds))]
    if (sure := read_sureness(read, rounds)) is not None:
        found += [sureness_plot(sure), reliability_plot(read_cases(read, rounds))]
    return [one for one in found if one is not None]


def _config(folder: Path) -> str:
    path = folder / CONFIG
    return shown(path.read_text(encoding="utf-8"), CONFIG_LONGEST) if path.is_file() else ""

"""`ratchet report`: writes a run's page anew, or one page that compares several runs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loop.difference import held_config
from loop.errors import Refused
from loop.finding import find_run, store_of
from loop.identity import meaning
from loop.ledger import Ledger
from loop.report.comparing import Compared, Comparing, compare
from loop.report.gains import Gain
from loop.report.headline import Headline, headline
from loop.report.rendering import rendered
from loop.report.writing import FILE_NAME, page_of, report_of
from loop.store import open_store
from loop.summary import RoundSummary, RunSummary, read_summary
from loop.view import PLAIN_WIDTH
from loop.view.comparison_lines import TONES, comparison_lines, table_of
from loop.view.inspection import portable, show
from loop.view.text import Line, visible, wrapped

COMPARED = "report-compare.html"


def report(runs: Sequence[str], out: str | None, as_json: bool) -> int:
    """Write the page of one run, or of several beside each other, and say what came out; the exit status. Raises:
    Refused, StoreFailed."""
    folders = [find_run(run) for run in runs]
    if len(set(folders)) < len(folders):
        raise Refused("ratchet report compares different runs, and one of these is named twice")
    summaries = [read_summary(folder) for folder in folders]
    width = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
    told: dict[str, Any]
    if len(folders) == 1:
        path = _placed(out, folders[0] / FILE_NAME)
        _write(path, page_of(report_of(folders[0], summaries[0], Ledger(store_of(folders[0])))))
        told, lines = _told(summaries[0], headline(summaries[0])), _lines(summaries[0], width)
    else:
        path = _placed(out, Path(COMPARED))
        comparing = compare(summaries, [meaning(held_config(folder)) for folder in folders])
        _write(path, compared_page(comparing))
        told, lines = _compared(comparing), comparison_lines(comparing, width)
    if as_json:
        print(json.dumps(portable({"report": str(path), **told}), indent=2, ensure_ascii=False))
    else:
        show([*lines, (), (("report  ", "dim"), (visible(str(path)), ""))], sys.stdout)
    return 0


def _placed(out: str | None, otherwise: Path) -> Path:
    """Where the page goes. Raises: Refused when there is no such folder."""
    path = (otherwise if out is None else Path(out)).absolute()
    if not path.parent.is_dir():
        raise Refused(f"--out {out}: there is no folder {path.parent}")
    return path


def _write(path: Path, page: bytes) -> None:
    open_store(path.parent).write(path.name, page)


def compared_page(comparing: Comparing) -> bytes:
    """The page of several runs as UTF-8."""
    return rendered(
        "compare.html.j2",
        comparing=comparing,
        names=" · ".join(one.run.run for one in comparing.runs),
        table=table_of(comparing),
    ).encode()


def _lines(run: RunSummary, width: int) -> list[Line]:
    """The headline on a terminal."""
    one = headline(run)
    said = [(one.sentence, TONES.get(one.verdict, "")), *((part, "") for part in (one.sure, one.gate, one.state))]
    lines: list[Line] = [((visible(run.run), "strong"),)]
    for sentence, tone in said:
        lines += [((part, tone),) for part in wrapped(visible(sentence or ""), width) if part]  # type: ignore[arg-type]
    return lines


def _told(run: RunSummary, one: Headline) -> dict[str, Any]:
    """A run for programs."""
    return {
        "run": run.run,
        "verdict": one.verdict,
        "headline": one.text(),
        "stands_at": run.last.policy,
        "before": _score(run.initial),
        "now": _score(run.standing),
        "change": _gain(one.gain),
    }


def _score(one: RoundSummary) -> dict[str, Any]:
    return {"round": one.round, "gold_score": one.gold_score, "low": one.gold_low, "high": one.gold_high}


def _gain(gain: Gain | None) -> dict[str, float] | None:
    return None if gain is None else {"difference": gain.difference, "low": gain.low, "high": gain.high}


def _compared(comparing: Comparing) -> dict[str, Any]:
    letters = [one.letter for one in comparing.runs]
    return {
        "runs": [_row(one) for one in comparing.runs],
        "settings": {key: dict(zip(letters, values, strict=True)) for key, values in comparing.settings},
    }


def _row(one: Compared) -> dict[str, Any]:
    return {
        "letter": one.letter,
        **_told(one.run, one.told),
        "against_first": _gain(one.beyond),
        "promoted": one.kept,
        "rejected": one.rejected,
        "kl": one.kl,
        "length": one.length,
        "seconds": one.run.seconds_total,
    }

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from loop.cli import parse
from loop.errors import Refused
from loop.summary import write_summary
from loop.view.reporting import COMPARED, report
from tests.loop.report.made import RUN, SCRIPT, made, scored


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs' folders; tests only read their tables."""
    folder = tmp_path_factory.mktemp("runs")
    first, second = made(folder / "first-1234abcd"), made(folder / "second-1234abcd", replace(RUN, rounds=[]))
    write_summary(first, RUN)
    write_summary(second, replace(RUN, run=f"second {SCRIPT}", rounds=[scored(1, 150)]))
    return first, second


def test_a_run_is_reported(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    (runs[0] / "report.html").unlink(missing_ok=True)
    assert report([str(runs[0])], None, False) == 0
    shown = capsys.readouterr().out
    assert "Better: on prompts kept apart from training the model now scores 70.0%, up from 40.0%." in " ".join(
        shown.split()
    )
    assert "rejected 2 of 5 candidates" in " ".join(shown.split())
    assert str(runs[0] / "report.html") in shown
    assert "<h1>" in (runs[0] / "report.html").read_text()


def test_a_run_for_programs(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    report([str(runs[0])], None, True)
    told = json.loads(capsys.readouterr().out)
    assert told["report"] == str(runs[0] / "report.html")
    assert (told["verdict"], told["stands_at"]) == ("better", "r4-s80")
    assert (told["before"]["gold_score"], told["now"]["gold_score"], told["now"]["round"]) == (0.4, 0.7, 4)
    assert told["change"]["difference"] == pytest.approx(0.3)


def test_runs_are_compared_in_a_page_in_the_current_folder(
    runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report([str(one) for one in runs], None, False) == 0
    assert "against A" in capsys.readouterr().out
    page = (tmp_path / COMPARED).read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "<script" not in page and "&lt;script&gt;" in page
    assert page.count("<svg") == 4


def test_runs_compared_for_programs(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "two.html"
    report([str(one) for one in runs], str(out), True)
    told = json.loads(capsys.readouterr().out)
    assert told["report"] == str(out) and out.is_file()
    assert [(one["letter"], one["promoted"], one["rejected"]) for one in told["runs"]] == [("A", 3, 2), ("B", 0, 0)]
    assert told["runs"][1]["against_first"]["difference"] == pytest.approx(0.05)
    assert told["settings"] == {}


def test_what_cannot_be_done_is_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(Refused, match="named twice"):
        report([str(runs[0]), str(runs[0])], None, False)
    with pytest.raises(Refused, match="there is no folder"):
        report([str(runs[0])], str(tmp_path / "nowhere" / "x.html"), False)
    with pytest.raises(Refused, match="does not exist"):
        report([str(made(tmp_path / "run", replace(RUN, rounds=[])))], None, False)


def test_the_command_line() -> None:
    given = parse(["report", "a", "b", "--out", "x.html", "--json"])
    assert (given.command, given.runs, given.out, given.json) == ("report", ["a", "b"], "x.html", True)


def test_help_fits_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit):
        parse(["report", "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 120

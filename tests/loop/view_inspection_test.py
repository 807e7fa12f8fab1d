from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from loop.errors import Refused
from loop.gate.result import GateResult
from loop.inspecting import inspect_run
from loop.provenance import inspect_example
from loop.status import Status, write_status
from loop.view.example_lines import example_lines, quoted
from loop.view.inspection import inspect, portable
from loop.view.row_lines import row_lines
from loop.view.run_lines import counted, ranges, run_lines, size
from loop.view.text import Line, plain
from tests.loop.run_folders import begun, ran


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "demo-dpo-verifier-1234abcd"
    ran(folder, parent="feedfeed@r3-s24")
    write_status(folder, Status(os.getpid(), 2, 2, ["generate", "judge"], time.time(), "running"))
    return folder


def text(lines: list[Line]) -> str:
    return "\n".join(plain(line) for line in lines)


def test_a_run_is_shown_with_rounds_phases_and_events(run: Path) -> None:
    status = Status(4242, 2, 2, ["generate", "judge"], 1000.0, "running", "host")
    shown = text(run_lines(replace(inspect_run(run), status=status, state="running"), 100, 1012.0))
    assert "demo-dpo-verifier-1234abcd  running: round 2 of 3, generate and judge for 12.0 s" in shown
    assert re.search(r"^    0 +r0-s0  40\.0%   30\.0 to 50\.0 +- +- +- +- +- +-$", shown, re.MULTILINE)
    assert re.search(r"^    1 +r1-s4  70\.0%   60\.0 to 80\.0   \+30\.0 +4 +2 +1 +1 +-$", shown, re.MULTILINE)
    assert "round 2 is under way\n  generate  under way  1 of 2 shards: 0, 2 rows" in shown
    assert "\n  not begun: anchor, learn, push, evaluate, score, kl, diagnose, export\n" in shown
    assert "what befell the actors: died 2, restarted 1" in shown
    assert "round 1 generate: generation-0 died: killed by signal 9" in shown
    assert "process 4242 on host" in shown


def test_rounds_tell_what_the_gate_decided_where_it_was_asked(run: Path) -> None:
    found = inspect_run(run)
    assert "gate" not in text(run_lines(found, 100, 0.0))
    rejected = GateResult("rejected", "r1-s4", "r0-s0", "", 0.48, 0.05, 0.5)
    initial, first, *rest = found.rounds
    assert first.summary is not None
    asked = replace(first, summary=replace(first.summary, gate=rejected))
    shown = text(run_lines(replace(found, rounds=(initial, asked, *rest)), 100, 0.0))
    assert re.search(r"^round .* time +gate$", shown, re.MULTILINE)
    assert re.search(r"^    1 +r1-s4 .* rejected$", shown, re.MULTILINE)
    assert re.search(r"^    0 +r0-s0 .* -$", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("died", "died in round 2 of 3, generate; ratchet resume"),
        ("failed", "failed in round 2 of 3; ratchet resume demo-dpo-verifier-1234abcd goes on with it\ntoo many"),
        ("stopped", "stopped in round 2 of 3\ntoo many judgements failed"),
        ("starting", "a driver is starting (process 7)"),
        ("finished", "finished: 3 rounds\n\n"),
    ],
)
def test_how_a_run_stands_is_its_first_line(run: Path, state: str, said: str) -> None:
    status = Status(1, 1, 2, ["generate"] if state == "died" else [], 0.0, "running")
    told = replace(
        inspect_run(run), state=state, status=status, locked_by=7, stopped_because="too many judgements failed"
    )
    if state == "died":
        told = replace(told, stopped_because=None)
    assert said in text(run_lines(told, 200, 0.0))


def test_what_a_dead_driver_left_is_not_under_way(run: Path) -> None:
    shown = text(run_lines(replace(inspect_run(run), state="died"), 100, 0.0))
    assert "round 2 is not complete\n  generate  begun      1 of 2 shards: 0" in shown


def test_a_run_that_has_not_begun_can_be_shown(tmp_path: Path) -> None:
    assert "not begun" in text(run_lines(inspect_run(begun(tmp_path / "run")), 80, 0.0))


def test_an_example_is_shown_with_everything_and_nothing_in_it_reaches_the_terminal(run: Path) -> None:
    shown = text(example_lines(inspect_example(run, "e10"), 100))
    for said in (
        "strength  0.900",
        "  | Be brief.",
        "  | 2 + 2?",
        "  reference answer\n  | 4",
        "chosen " + "a" * 32,
        "r1-s4, digest digest of r1",
        "  | four",
        "  | fi\\x1b[2Jve\n  | or six",
        "3 judgements about these answers",
        "decided 0.900  chosen before rejected, sample 0, by self of r1-s4\n  | A\\x07",
        "failed -  rejected before chosen",
        "probe gap 1e-06, forked from r3-s24 of the run feedfeed",
    ):
        assert said in shown, said
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_a_list_is_shown_with_labels_and_without_what_only_pairs_have(run: Path) -> None:
    shown = text(example_lines(inspect_example(run, "e2"), 100))
    assert "item " + "a" * 32 in shown and re.search(r"^  label +0\.750$", shown, re.MULTILINE)
    assert "strength" not in shown and "margin" not in shown and "chosen" not in shown


def test_quoted_text_keeps_its_lines_and_spaces_and_is_cut_to_the_width() -> None:
    assert text(quoted("a  b\n\nc", 80)) == "  | a  b\n  |\n  | c"
    assert [len(plain(line)) for line in quoted("x" * 100, 54)] == [54, 54]
    long = "x" * 45 + "      y"
    assert "".join(line[1][0] for line in quoted(long, 54)) == long


def test_the_answer_to_a_query_is_a_table_where_it_fits() -> None:
    table = pa.table({"name": ["a\x1b", None], "n": [1, 20], "x": [0.123456789, 1e-9], "ids": [["p", "q"], []]})
    assert text(row_lines(table, 80)) == (
        'name    n         x  ids\na\\x1b   1  0.123457  ["p", "q"]\n-      20     1e-09  []'
    )
    narrow = text(row_lines(table, 20))
    assert 'name  a\\x1b\nn     1\nx     0.123457\nids   ["p", "q"]' in narrow, "one block per row"


def test_long_answers_are_cut_and_counted() -> None:
    many = text(row_lines(pa.table({"n": list(range(250))}), 80))
    assert many.count("\n") == 101 and many.endswith("100 of 250 rows; --json prints all")
    assert text(row_lines(pa.table({"n": []}), 80)).endswith("no rows")
    assert text(row_lines(pa.table({"t": ["x" * 100]}), 80)) == f"t{' ' * 59}".rstrip() + f"\n{'x' * 57}..."


@pytest.mark.parametrize("asked", [(None, None), ("e10", None), (None, "select 0.0/0.0 as nan, now() as at_now")])
def test_json_is_json(run: Path, capsys: pytest.CaptureFixture[str], asked: tuple[str | None, str | None]) -> None:
    assert inspect(str(run), *asked, True) == 0
    told = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert told["run"] == run.name if isinstance(told, dict) else told[0]["nan"] is None


def test_people_get_lines(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(str(run), None, "select count(*) as answers from responses", False) == 0
    assert capsys.readouterr().out == "answers\n      2\n"
    assert inspect(str(run), None, None, False) == 0
    assert "running: round 2 of 3, generate and judge" in capsys.readouterr().out
    with pytest.raises(Refused, match="not both"):
        inspect(str(run), "e10", "select 1", False)


def test_a_reader_that_has_seen_enough_is_no_error(run: Path) -> None:
    program = "import sys; from loop.view.inspection import inspect; sys.exit(inspect(sys.argv[1], None, None, False))"
    looking = subprocess.Popen(
        [sys.executable, "-c", program, str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert looking.stdout is not None and looking.stderr is not None
    looking.stdout.close()
    said = looking.stderr.read()
    assert (looking.wait(), said) == (0, b"")


def test_numbers_in_words() -> None:
    assert [counted(n, "row") for n in (0, 1, 1024)] == ["0 rows", "1 row", "1,024 rows"]
    assert ranges([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8" and ranges([]) == ""
    assert [size(n) for n in (0, 512, 2_500_000, 141_300_000_000)] == ["0 B", "512 B", "2.5 MB", "141 GB"]
    assert portable({1: (float("inf"), b"x", None, True)}) == {"1": [None, "b'x'", None, True]}

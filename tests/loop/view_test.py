"""What a person reads while a run goes on: the table at several widths, plain lines, drawn lines."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from loop.summary import RoundSummary
from loop.view import can_draw, open_view
from loop.view.plain import PlainView
from loop.view.progress import Meter
from loop.view.table import FINAL, RUNNING, Column, change_of, fitting, gain_of, header, row, wall_seconds, width_of
from loop.view.terminal import TerminalView
from loop.view.text import plain
from tests.loop.view_rounds import FIRST, INITIAL, SECOND, scored

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def written() -> tuple[PlainView, io.StringIO]:
    """A plain view and what it wrote."""
    file = io.StringIO()
    return PlainView(file), file


def drawn(width: int = 100, no_color: bool = False) -> tuple[TerminalView, io.StringIO]:
    """A terminal view and what it wrote."""
    file = io.StringIO()
    environment = {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if no_color else {})
    console = Console(file=file, force_terminal=True, color_system="standard", width=width, _environ=environment)
    return TerminalView(console), file


@pytest.mark.parametrize(
    ("layouts", "width"), [(RUNNING, 100), (RUNNING, 80), (RUNNING, 60), (FINAL, 100), (FINAL, 80)]
)
def test_every_line_of_a_table_fits_and_ends_at_the_same_column(
    layouts: Sequence[Sequence[Column]], width: int
) -> None:
    columns = fitting(layouts, width)
    texts = [
        "".join(text for text, _ in line)
        for line in (*header(columns), *(row(columns, r, INITIAL) for r in (INITIAL, FIRST, SECOND)))
    ]
    assert width_of(columns) <= width
    assert {len(text) for text in texts} == {width_of(columns)}


def test_a_table_of_large_numbers_keeps_its_widths() -> None:
    large = replace(
        FIRST,
        gold_score=1.0,
        examples=123_456,
        ties=99_999,
        failed_judgements=45_678,
        truncated=12_345_678,
        response_tokens_mean=8191.6,
        loss=-1234.5,
        kl=4321.9,
        seconds={name: 40_000.0 for name in FIRST.seconds},
    )
    for columns in RUNNING:
        assert sum(len(text) for text, _ in row(columns, large, INITIAL)) == width_of(columns)


def test_a_row_shows_the_round() -> None:
    columns = fitting(RUNNING, 200)
    assert plain(header(columns)[-1]).split() == [c.header for c in columns]
    shown = dict(zip([c.header for c in columns], plain(row(columns, FIRST, INITIAL)).split(), strict=True))
    expected = {
        "round": "1",
        "gold": "65.0%",
        "change": "+25.0",
        "data": "243",
        "ties": "13",
        "failed": "2",
        "loss": "0.612",
    }
    expected |= {"KL": "1.840", "length": "7.12", "cut": "7", "time": "21", "gen": "8.1", "judge": "0.4", "learn": "12"}
    assert shown == expected | {"push": "0.6", "eval": "3.0"}


def test_the_initial_row_claims_nothing_about_training() -> None:
    columns = fitting(RUNNING, 200)
    shown = dict(zip([c.header for c in columns], plain(row(columns, INITIAL, INITIAL)).split(), strict=True))
    assert {name for name, text in shown.items() if text != "-"} == {"round", "gold", "time", "eval"}


def test_change_needs_intervals_that_do_not_overlap() -> None:
    assert change_of(FIRST, INITIAL) == "better"
    assert change_of(INITIAL, FIRST) == "worse"
    assert change_of(scored(2, 84), INITIAL) == "unclear"
    assert change_of(RoundSummary(round=2, policy="p", gold_score=1.0), INITIAL) == "unclear"


def test_a_round_that_was_not_measured_has_no_gain() -> None:
    assert gain_of(replace(FIRST, gold_score=None), INITIAL) is None
    assert gain_of(FIRST, INITIAL) == pytest.approx(0.25)


def test_wall_time_is_the_rounds_own_or_the_sum_of_its_phases() -> None:
    assert wall_seconds(FIRST) == 21.2
    assert wall_seconds(replace(FIRST, seconds={"generate": 2.0, "learn": 3.0})) == 5.0
    assert wall_seconds(replace(FIRST, seconds={})) is None


@pytest.mark.parametrize(
    ("terminal", "environment", "draws"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {}, True),
        (False, {"TERM": "xterm"}, False),
        (True, {"TERM": "xterm", "CI": "true"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_who_is_drawn_for(terminal: bool, environment: dict[str, str], draws: bool) -> None:
    assert can_draw(terminal, environment) is draws


def test_a_file_gets_plain_lines() -> None:
    file = io.StringIO()
    open_view(file, {"TERM": "xterm"}).round_done(FIRST, INITIAL)
    assert "65.0%" in file.getvalue() and "\x1b" not in file.getvalue()


def test_plain_progress_is_sparse() -> None:
    file, now = io.StringIO(), Clock()
    with PlainView(file, 100, now).phase(1, "generate", 100, "responses") as phase:
        for _ in range(100):
            now.now += 0.25
            phase.advance(1, loss=0.5)
    lines = file.getvalue().splitlines()
    assert lines == [
        "round 1  generate: 100 responses",
        "round 1  generate  40/100 responses  4.00/s  10.0 s  loss 0.500",
        "round 1  generate  80/100 responses  4.00/s  20.0 s  loss 0.500",
        "round 1  generate  100 responses in 25.0 s (4.00/s)  loss 0.500",
    ]


def test_plain_phases_overlap() -> None:
    file, now = io.StringIO(), Clock()
    view = PlainView(file, 100, now)
    with view.phase(1, "generate", 2, "responses") as generate, view.phase(1, "judge", 0, "questions") as judge:
        now.now += 1
        generate.advance(2)
        judge.advance(3)
    assert file.getvalue().splitlines()[2:] == [
        "round 1  judge  3 questions in 1.0 s (3.00/s)",
        "round 1  generate  2 responses in 1.0 s (2.00/s)",
    ]


def test_a_phase_that_fails_says_how_far_it_came() -> None:
    for view, file in (written(), drawn()):
        with pytest.raises(KeyboardInterrupt), view.phase(2, "learn", 8, "steps") as phase:
            phase.advance(3)
            raise KeyboardInterrupt
        view.close()
        assert "round 2  learn  broken off after 3/8 steps" in file.getvalue()


def test_the_drawn_table_has_one_header_and_its_colours() -> None:
    view, file = drawn()
    view.round_done(INITIAL, INITIAL)
    view.round_done(FIRST, INITIAL)
    view.round_done(scored(2, 10, responses=1), INITIAL)
    text = file.getvalue()
    assert ANSI.sub("", text).count("gold") == 1
    assert "\x1b[32m   +25.0" in text  # a gain is green
    assert "\x1b[31m   -35.0" in text  # a loss is red
    assert "\x1b[33m       2" in text  # failed judgements are yellow


def test_no_color_means_no_colours() -> None:
    view, file = drawn(no_color=True)
    view.round_done(INITIAL, INITIAL)
    view.round_done(FIRST, INITIAL)
    assert not re.search(r"\x1b\[3[0-9]", file.getvalue())


def test_bars_show_their_phase_and_vanish_with_the_row() -> None:
    view, file = drawn()
    with view.phase(1, "generate", 4, "responses") as generate, view.phase(1, "judge", 4, "questions") as judge:
        generate.advance(3, tokens=12345.0)
        judge.advance(1)
    shown = ANSI.sub("", file.getvalue())
    assert "3 responses" in shown.replace("/4", "") and "tokens 12,345" in shown and "judge" in shown
    file.seek(0)
    file.truncate()
    view.round_done(FIRST, INITIAL)
    assert "\x1b[2K" in file.getvalue()  # the lines of the bars are erased
    assert "\x1b[?25h" in file.getvalue()  # the cursor is back
    after = file.getvalue().rsplit("\x1b[2K", 1)[1]
    assert "generate" not in after and "65.0%" in after


def test_a_phase_of_the_next_round_stays() -> None:
    view, file = drawn()
    with view.phase(2, "generate", 4, "responses") as phase:
        with view.phase(1, "learn", 1, "steps") as learn:
            learn.advance(1)
        view.round_done(FIRST, INITIAL)
        phase.advance(4)
    view.round_done(SECOND, INITIAL)
    shown = ANSI.sub("", file.getvalue())
    assert shown.index("65.0%") < shown.rindex("4/4 responses") < shown.index("50.0%")


def test_a_phase_that_goes_on_outlives_the_row() -> None:
    view, file = drawn()
    with view.phase(1, "export", 4, "files") as phase:
        view.round_done(FIRST, INITIAL)
        phase.advance(4)
    view.close()
    shown = ANSI.sub("", file.getvalue())
    assert shown.index("65.0%") < shown.rindex("4/4 files")


def test_foreign_text_is_shown_as_it_is() -> None:
    for view, file in (written(), drawn(no_color=True)):
        view.banner([("model", "[red]evil[/red]\x1b]0;title\x07")])
        view.notice("answer: [link=http://x]\x1b[2J")
        text = ANSI.sub("", file.getvalue())
        assert "[red]evil[/red]\\x1b]0;title\\x07" in text
        assert "answer: [link=http://x]\\x1b[2J" in text


def test_what_was_there_already_is_no_speed() -> None:
    meter = Meter(2, "generate", 10, "answers", 0.0)
    meter.resume(4)
    assert meter.rate(2.0) == ""
    assert meter.ended(2.0) == "round 2  generate  4 answers, there already"
    meter.advance(6, {})
    assert meter.ended(2.0) == "round 2  generate  10 answers in 2.0 s (3.00/s), 4 of them there already"

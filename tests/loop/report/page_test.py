from __future__ import annotations

from dataclasses import replace

from loop.report.headline import headline
from loop.report.page import ROUNDS_SHOWN, decisions, diagnosed, figures, remarks, round_rows, settings
from loop.summary import RoundSummary
from tests.loop.report.made import RUN, scored, trained


def test_figures_are_of_the_round_at_which_the_run_stands() -> None:
    told = {one.name: (one.value, one.more) for one in figures(RUN, headline(RUN))}
    assert told["gold score before"][0] == "40.0%"
    assert told["gold score now"][0] == "70.0%"
    assert told["change, points"] == ("+30.0", "+20.4 to +38.8")
    assert told["win rate against the start"] == ("60.0%", "55.0 to 65.0; 58.0% at equal length")
    assert told["KL from the start"][0] == "1.600"  # of round 4


def test_figures_that_a_run_lacks_are_left_out() -> None:
    bare = replace(RUN, initial=RoundSummary(0, "r0-s0"), rounds=[], seconds_to_first_token=None)
    told = [(one.name, one.value, one.more) for one in figures(bare, headline(bare))]
    assert told == [("gold score before", "-", "not measured"), ("time in all", "2 min 41 s", "")]


def test_the_table_marks_what_the_gate_decided() -> None:
    header, rows, left_out = round_rows(RUN)
    at = header.index("gate")
    assert [row[at] for row in rows] == ["-", "✓ kept", "✓ kept", "✗ rejected", "✓ kept", "✗ rejected"]
    assert [row[header.index("change")] for row in rows] == ["-", "+15.0", "+24.0", "+5.0", "+30.0", "+26.0"]
    assert left_out == 0


def test_columns_and_rounds_that_would_be_too_many_are_left_out() -> None:
    header, _, _ = round_rows(replace(RUN, rounds=[scored(1, 100)]))
    assert "gate" not in header and "KL" not in header
    _, rows, left_out = round_rows(replace(RUN, rounds=[trained(n, 100) for n in range(1, 101)]))
    assert (len(rows), left_out) == (ROUNDS_SHOWN + 1, 100 - ROUNDS_SHOWN)
    assert (rows[0][0], rows[1][0], rows[-1][0]) == ("0", "61", "100")


def test_diagnostics_are_signs_and_words_beside_colours() -> None:
    numbers, rows = diagnosed(RUN)
    assert numbers == [1, 2, 3, 4, 5]
    drift, entropy = rows
    cells = [cell for cell in drift.cells_R if cell is not None]
    assert [(cell.colour, cell.sign, cell.word) for cell in cells] == [
        ("amber", "!", "worth a look"),
        ("red", "✗", "wrong"),
        ("grey", "·", "not judged"),
        ("green", "✓", "as expected"),
        ("amber", "!", "worth a look"),
    ]
    assert entropy.title == "entropy"


def test_what_is_wrong_is_said_first() -> None:
    said = [(name, cell.round, cell.colour) for name, cell in remarks(diagnosed(RUN)[1])]
    assert said == [
        ("length drift", 2, "red"),
        ("length drift", 5, "amber"),
        ("length drift", 1, "amber"),
        ("entropy", 5, "green"),
    ]


def test_a_diagnostic_that_a_round_lacks_is_a_hole() -> None:
    rounds = [replace(RUN.rounds[0], diagnostics=RUN.rounds[0].diagnostics[:1]), RUN.rounds[1]]
    _, (_, entropy) = diagnosed(replace(RUN, rounds=rounds))
    assert [cell is None for cell in entropy.cells_R] == [True, False]


def test_decisions_come_newest_first_with_what_the_gate_could_have_seen() -> None:
    told = decisions(RUN)
    assert [(one.round, one.decision) for one in told][:2] == [(5, "rejected"), (4, "promoted")]
    assert told[0].detectable == "a loss of 3.1 points of win rate"


def test_settings_name_the_parent_of_a_fork() -> None:
    assert ("forked from", "feed@r3-s24") in settings(RUN, "feed@r3-s24")
    assert "forked from" not in dict(settings(RUN, None))
    assert dict(settings(RUN, None))["prompts"] == "train 2,048, test 200"

"""Who is woken, and how often."""

from __future__ import annotations

from loop.diagnostics.diagnostic import Colour
from loop.summary import RoundSummary, RunSummary
from loop.tracking.alerts import Alert, end_alert, round_alerts
from tests.loop.tracking.kit import diagnosed, gate


def coloured(*colours: Colour) -> list[RoundSummary]:
    """Rounds in which one diagnostic had these colours."""
    return [RoundSummary(at, "p", diagnostics=[diagnosed("hacking", 0.5, c)]) for at, c in enumerate(colours, 1)]


def test_a_rejection_is_told_with_its_reason() -> None:
    told, _ = round_alerts(RoundSummary(3, "r2-s6", gate=gate("rejected")), frozenset())
    assert told == [Alert("round 3: the gate rejected r3-s9", "CANARY won too little", "WARN")]
    assert round_alerts(RoundSummary(3, "r3-s9", gate=gate("promoted")), frozenset())[0] == []


def test_a_red_diagnostic_is_told_once_until_it_was_green() -> None:
    red, told = frozenset[str](), []
    for one in [*coloured("amber", "red", "red", "amber", "red", "green", "red"), RoundSummary(8, "p")]:
        alerts, red = round_alerts(one, red)
        told += [alert.title for alert in alerts]
    assert told == ["round 2: hacking is red (0.5)", "round 7: hacking is red (0.5)"]
    assert red == {"hacking"}, "a round in which it was not measured changes nothing"


def test_a_run_that_ended_early_is_told_and_no_title_is_too_long() -> None:
    first = RoundSummary(0, "r0")
    run = RunSummary("r", "i", "e", "a", "j", "m", 0, False, first, [], 1.0, stopped_because="the disk is full")
    assert end_alert(run) == Alert("stopped in round 1", "the disk is full", "ERROR")
    assert end_alert(RunSummary("r", "i", "e", "a", "j", "m", 0, True, first, [], 1.0)) is None
    assert len(Alert.of("x" * 100, "", "WARN").title) == 63

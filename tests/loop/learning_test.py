"""Where a learner stands, and what a learn phase came to."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from loop.errors import Refused, Stopped
from loop.learning import LearnReport, Progress, StepOutcome, after, begun, report_of, require_steps

GOOD = StepOutcome(6, (1.5, 0.1 + 0.2, 1.0, -0.25, 0.25, 2.0), 120, 0.7, (), 0.5)
BAD = StepOutcome(5, (math.inf, 0.0, 0.0, 0.0, 0.0, 0.0), 80, None, ("e1", "e2"), 0.25)


def test_a_phase_begins_anew_or_goes_on_where_it_stands() -> None:
    start = begun(Progress(bad_in_a_row=2), 1, "a", 3)
    assert start == Progress(1, "a", 3, bad_in_a_row=2)
    inside = after(after(start, BAD, {"mean": 9.0}), GOOD, {"mean": 0.5})
    assert (inside.position, inside.bad_in_a_row, inside.complete) == (2, 0, False)
    assert begun(inside, 1, "a", 3) == inside
    with pytest.raises(Refused, match=r"inside round 1 \(step 2 of 3\): it must be finished before round 2"):
        begun(inside, 2, "a", 3)
    with pytest.raises(Refused, match="other examples than they are given now"):
        begun(inside, 1, "b", 3)
    end = replace(after(inside, BAD, {"mean": 9.0}), report=LearnReport())
    assert begun(end, 2, "b", 5) == Progress(2, "b", 5, bad_in_a_row=1, loss_state={"mean": 0.5})
    with pytest.raises(Refused, match="round 0 cannot be learnt on top of it"):
        begun(end, 0, "b", 5)


def test_skipped_steps_in_a_row_stop_the_run() -> None:
    progress = after(after(Progress(1), BAD, {}), BAD, {})
    require_steps(progress, 3)
    with pytest.raises(Stopped, match=r"^2 optimiser steps in a row .* the last one's examples are e1, e2$"):
        require_steps(progress, 2)


def test_a_skipped_step_leaves_no_trace_in_the_losss_state() -> None:
    one = after(Progress(1), GOOD, {"mean": 0.5})
    assert after(one, BAD, {"mean": math.nan}).loss_state == {"mean": 0.5}
    assert after(one, GOOD, {"mean": 0.75}).loss_state == {"mean": 0.75}


def test_a_report_has_the_terms_of_the_losss_kind() -> None:
    step = StepOutcome(4, (2.0, 3.0), 10, 1.0, (), 0.0)
    assert report_of([step], "list", 1e-6).terms == {"accuracy": 0.75}
    assert report_of([replace(step, sums=(2.0, 3.0, 1.0))], "single", 1e-6).terms == {
        "chosen_log_ratio": 0.75,
        "nll": 0.25,
    }


def test_a_report_is_a_function_of_the_steps() -> None:
    report = report_of([GOOD, BAD, GOOD], "pair", 1e-6, paused=True)
    assert (report.steps, report.skipped_steps, report.examples, report.tokens) == (2, 1, 12, 320)
    assert (report.loss, report.terms["margin"], report.terms["nll"]) == (3.0 / 12, (0.1 + 0.2) * 2 / 12, 4.0 / 12)
    assert (report.grad_norm, report.lr, report.paused, report.seconds) == (0.7, 1e-6, True, 1.25)
    assert report.bad_examples == ("e1", "e2")
    assert report_of([BAD], "pair", 1e-6).loss == 0.0

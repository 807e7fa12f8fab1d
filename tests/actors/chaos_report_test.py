from __future__ import annotations

import json
from typing import Any

from actors.bench.chaos_check import KEYS, Count, Difference
from actors.bench.chaos_deaths import Noticed
from actors.bench.chaos_plan import ACTORS, POINTS, Strike
from actors.bench.chaos_report import MISSED, NOT_ASKED, Report, report_lines
from actors.bench.chaos_run import Disturbed, Kill, Start
from loop.view.text import plain

KILLS = [
    Kill("rollout", 101, 1010.0, 1, "generate", "shard/generate", ["judge", "generate"], "running: generate", 0.5),
    Kill("rollout", 102, 1012.0, 1, "push", "random", ["push"], "running: push", 2.5),
    Kill("driver", 100, 1020.0, 2, "learn", "checkpoint/renamed", ["learn"], "died: learn", 20.0),
]
SEEN = [Noticed("told", 10.0), Noticed("told", 30.0), Noticed("driver", 20.0)]


def report(**changes: Any) -> Report:
    disturbed = Disturbed(
        kills=list(KILLS),
        starts=[Start(1000.0, 100, -9, 1.5, ["ray::Agent", "ray::Agent"]), Start(1022.0, 200, 0)],
        missed=[Strike("probe", "judge", 0, "phase/probe")],
        finished=True,
    )
    return Report(
        **{
            "seed": 7,
            "rounds": 3,
            "folder": "chaos",
            "disturbed": disturbed,
            "noticed": list(SEEN),
            "unexplained": [],
            "counts": {name: Count(5, 0, 0, 0) for name in KEYS},
            "differences": [],
            "digest": "ab" * 32,
            "seconds": {"undisturbed": 30.0, "disturbed": 90.0},
            "machine": {"cores": 2},
            **changes,
        }
    )


def text(one: Report) -> str:
    return "\n".join(plain(line) for line in report_lines(one, 120))


def test_a_report_without_faults_says_so_and_gives_every_figure() -> None:
    shown = text(report())
    assert shown.startswith("chaos  3 kills in 3 rounds, seed 7: everything holds")
    for figure in (
        "3: 1 driver, 2 rollout, 0 judge, 0 learner",
        "1 of the command; 3 in all",
        "duplicates  0",
        "gaps        0",
        f"{5 * len(KEYS)} rows, byte-equal, sha256 abababababababab",
        "driver 20.0, rollout 1.50, judge -, learner -",
        "driver 20.0, rollout 20.0, judge -, learner -",
        "gone 1.50 s after their driver (median); had to be ended: 2 ray::Agent",
    ):
        assert figure in shown, figure


def test_every_pair_of_phase_and_actor_has_a_kill_or_a_reason() -> None:
    cells = report().cells
    assert cells.keys() == POINTS.keys() and all(tuple(row) == ACTORS for row in cells.values())
    assert cells["generate"]["rollout"] == cells["push"]["rollout"] == cells["learn"]["driver"] == 1
    assert cells["probe"]["judge"] == MISSED and cells["kl"]["driver"] == NOT_ASKED
    shown = text(report())
    assert f") {MISSED}" in shown and f") {NOT_ASKED}" in shown


def test_each_kill_is_listed_with_process_and_moment() -> None:
    lines = text(report()).splitlines()
    (first,) = [line for line in lines if " 101 " in line]
    assert " ".join(first.split()) == "1 10.0 1 generate rollout 101 shard/generate 0.50 10.0 told"


def test_whatever_is_not_so_is_told_and_spoils_the_verdict() -> None:
    wrong: dict[str, dict[str, Any]] = {
        "responses: 1 duplicates, 2 gaps, 3 that belong nowhere": {"counts": {"responses": Count(5, 1, 2, 3)}},
        "not as undisturbed: rounds of round 2: 1 and 1 rows, differing in summary": {
            "differences": [Difference("rounds", 2, (1, 1), ("summary",))]
        },
        "a death that no kill explains: judging-0": {"unexplained": ["judging-0"]},
        "telemetry does not tell of rollout 101, killed in generate of round 1": {
            "noticed": [Noticed("unnoticed"), *SEEN[1:]]
        },
        "the disturbed run did not finish": {"disturbed": Disturbed(list(KILLS), [Start(1000.0, 100)])},
        "it broke": {"disturbed": Disturbed(list(KILLS), [Start(1000.0, 100)], failures=["it broke"], finished=True)},
    }
    for sentence, changes in wrong.items():
        one = report(**changes)
        assert one.faults == [sentence] and sentence in text(one) and ": 1 fault\n" in text(one), sentence
        assert one.to_json()["holds"] is False
    assert not report().faults


def test_the_json_form_holds_everything_that_is_shown() -> None:
    told = json.loads(json.dumps(report().to_json()))
    assert told["holds"] and told["equal"] and told["restarts"] == 1
    assert (told["duplicates"], told["gaps"], told["rows"]["responses"]) == (0, 0, 5)
    assert told["kills"][0] == {
        "actor": "rollout",
        "pid": 101,
        "at": 1010.0,
        "round": 1,
        "phase": "generate",
        "moment": "shard/generate",
        "before": ["judge", "generate"],
        "after": "running: generate",
        "goes_on_s": 0.5,
        "telemetry": "told",
        "back_s": 10.0,
    }
    assert told["starts"][0]["orphans"] == ["ray::Agent", "ray::Agent"] and told["cells"]["push"]["rollout"] == 1

"""`ratchet judge`, with judges that are built for the test and, at the end, with the real verifier."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from actors import judge_command
from actors.judge_command import composed, judge
from actors.judge_processes import BATCH, ask
from actors.main import main
from loop.config import RunConfig
from loop.demo.make_preferences import FILE
from loop.errors import InfrastructureFailed, Refused
from loop.judge_study.asking import Manner, questions
from loop.judge_study.cases import read_cases
from loop.judges.judge import Asked
from tests.actors.stub_judges import Dying, Lengths, Refusing

DEMO = ["experiment=demo", "judge=verifier"]


def quietly(n: int) -> None:
    """No progress."""


def test_batches_come_back_in_order_and_usage_is_counted_once() -> None:
    cases = read_cases(str(FILE))
    asked = questions(cases, Manner()) * 3
    assert len(asked) > 2 * BATCH
    told: list[int] = []
    answered = ask(composed([*DEMO, "judge.replicas=2"]), asked, told.append, Lengths)
    assert [reply.raw for reply in answered.replies] == [one.texts[0] for one in asked]
    assert sum(told) == len(asked) == answered.usage["requests"]
    assert answered.version.startswith("lengths-r0-s0-") and answered.version != f"lengths-r0-s0-{os.getpid()}"


def test_what_a_judge_refuses_reaches_the_person_and_a_death_is_infrastructure() -> None:
    asked = questions(read_cases(str(FILE), 2), Manner())
    with pytest.raises(Refused, match="this judge refuses"):
        ask(composed(DEMO), asked, quietly, Refusing)
    with pytest.raises(InfrastructureFailed, match="a process of judge=verifier died"):
        ask(composed(DEMO), asked, quietly, Dying)


def test_a_killed_command_leaves_no_process_of_a_judge_behind() -> None:
    """Every process holds the pipe of standard error, so that its end is that of the last one."""
    code = (
        "from actors.judge_command import judge; from tests.actors.stub_judges import Staying; "
        f"judge({str(FILE)!r}, {DEMO!r}, None, 2, None, False, Staying)"
    )
    command = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert command.stderr is not None
    for line in command.stderr:
        if line.startswith("stays"):
            break
    else:
        pytest.fail("the judge was not asked")
    command.send_signal(signal.SIGKILL)
    command.communicate(timeout=60)  # half as long as the judge stays
    assert command.returncode == -signal.SIGKILL


def test_two_judges_of_different_processes_are_compared_and_their_noise_is_kept_out(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    against = "judge=verifier judge.rule=normalised"
    plot = str(tmp_path / "both.svg")
    assert judge(str(FILE), DEMO, against, 12, plot, True, Lengths) == 0
    out, err = capfd.readouterr()
    found = json.loads(out)  # what the judges' libraries print is elsewhere
    assert "noise of a library" in err and "judge=verifier  " in err
    assert found["comparison"]["agreement"] == 1.0
    assert len({one["version"] for one in found["judges"]}) == 2  # processes of their own
    assert found["judges"][0]["overall"]["cases"] == 12 and Path(plot).stat().st_size > 0


def test_the_second_judge_takes_no_override_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[str]] = []

    def recorded(overrides: Sequence[str]) -> RunConfig:
        seen.append(overrides)
        return composed(overrides)

    monkeypatch.setattr(judge_command, "composed", recorded)
    given = ["seed=3", *DEMO, "judge.rule=normalised"]
    with pytest.raises(Refused, match="nowhere"):
        judge("nowhere.jsonl", given, "judge=verifier judge.rule='math'", None, None, False)
    assert seen == [given, ["seed=3", "experiment=demo", "judge=verifier", "judge.rule=math"]]


def test_a_judge_that_scores_nothing_is_asked_in_both_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    manners: list[list[Asked]] = []

    def asked(config: RunConfig, some: Sequence[Asked], *_: object) -> None:
        manners.append(list(some))
        raise Refused("enough")

    monkeypatch.setattr(judge_command, "ask", asked)
    for name in ("self", "verifier"):
        with pytest.raises(Refused, match="enough"):
            judge(str(FILE), ["experiment=demo", f"judge={name}"], None, 1, None, False)
    assert [[len(one.texts) for one in some] for some in manners] == [[2, 2], [1, 1]]


def test_a_self_judge_needs_a_policy_and_says_which_one_it_is() -> None:
    config = composed(["experiment=osp_smoke", "judge=self"])
    (note,) = judge_command.notes_of(config)
    assert "`current` is the policy with which a run would begin, tiny" in note
    assert judge_command.notes_of(composed(["experiment=osp_smoke", "judge=self", "judge.model=initial"])) == []
    assert judge_command.notes_of(composed(DEMO)) == []


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["judge=reward_model", "judge.batch=0"], "judge.batch=0: must be at least 1"),
        (["judge=llm", "judge.max_context=0"], "judge.max_context=0: must be at least 2"),
        (["judge=self", "judge.template=none.yaml"], "judge.template: "),
        (["judge=verifier", "judge.thinking_markers=[a]"], "must be an opening and a closing marker"),
        (["judge=mixture", "judge.members.reward.replicas=0"], "judge.members.reward.replicas=0: must be at least 1"),
    ],
)
def test_what_a_run_would_refuse_of_its_judge_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(Refused) as refused:
        composed(["experiment=demo", *overrides])
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_judge_is_studied_whatever_recipe_and_other_judges_a_run_has() -> None:
    config = composed(
        [
            *("experiment=demo", "judge=self", "algorithm.plan.name=pointwise"),
            *("+judge@later_judges.bad=llm", "later_judges.bad.batch=0", "later_judges.bad.from_round=2"),
            *("+judge@evaluate.judge=verifier", "evaluate.judge.replicas=0"),
        ]
    )
    assert config.judge.name == "self" and not config.later_judges and config.evaluate.judge is None


@pytest.mark.parametrize("backend", ["vllm", "transformers"])
def test_a_model_that_is_none_is_refused_before_a_process_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str
) -> None:
    monkeypatch.setattr(judge_command, "ask", lambda *_: pytest.fail("a process would have started"))
    for overrides in (["judge=llm", f"judge.model={tmp_path}"], ["judge=self", f"model.path={tmp_path}"]):
        with pytest.raises(Refused, match=str(tmp_path)):
            judge(str(FILE), ["experiment=demo", f"judge.backend={backend}", *overrides], None, 1, None, False)
    against = f"judge=llm judge.model={tmp_path}"
    with pytest.raises(Refused, match=str(tmp_path)):
        judge(str(FILE), ["experiment=demo", "judge=verifier"], against, 1, None, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([str(FILE), "judge=verifierr", "experiment=demo"], "no such judge"),
        (["nowhere.jsonl", *DEMO], "nowhere.jsonl is not a file"),
        ([str(FILE), *DEMO, "--plot", "a.pdf"], "must end in .svg or .png"),
        ([str(FILE), *DEMO, "--against", "'judge"], "--against 'judge: No closing quotation"),
        ([str(FILE), *DEMO, "--limit", "0"], "--limit 0"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["judge", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ratchet: ") and said in error and error.count("\n") == 1


def test_cases_without_the_answer_are_refused_for_a_verifier(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    assert main(["judge", str(file), *DEMO]) == 2
    assert "line 1: `answer` is missing, and judge=verifier" in capsys.readouterr().err


def test_the_command_with_the_real_verifier(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    shutil.copy(FILE, file)
    assert main(["judge", str(file), "experiment=demo", "--limit", "50", "judge=verifier"]) == 0
    out, err = capfd.readouterr()
    assert "verifier (verifier-exact) on" in out and "macro average" in out
    assert "questions" in err and "Traceback" not in err
    overall = next(line for line in out.splitlines() if line.startswith("all "))
    assert overall.split()[:3] == ["all", "50", "100%"]

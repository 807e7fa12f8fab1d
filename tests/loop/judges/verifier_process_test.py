from __future__ import annotations

import gc
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.errors import InfrastructureFailed
from loop.judges import verifier_process
from loop.judges.verifier import Verifier
from tests.loop.judges.verifying import asked, is_a_verdict, one, verifier

ENDLESS = "a" * 60 + "!"
"""What the pattern of `judge` needs for ever for."""


@pytest.fixture
def judge() -> Iterator[Verifier]:
    judge = verifier("regex", seconds=0.2, pattern="^(a+)+$|#### {answer}$")
    yield judge
    judge.close()


def child() -> psutil.Process:
    """The only process that runs a verifier's rule below this one."""
    (found,) = [p for p in psutil.Process().children() if "loop.judges.verifier_worker" in p.cmdline()]
    return found


def test_a_pattern_is_found_or_has_to_be_all_of_it() -> None:
    found, whole = verifier("regex", pattern="[0-9]+"), verifier("regex", pattern="[0-9]+", whole=True)
    assert [one(found, text, None).value for text in ("it is 42", "42", "no")] == [1.0, 1.0, 0.0]
    assert [one(whole, text, None).value for text in ("it is 42", " 42\n", "no")] == [0.0, 1.0, 0.0]


def test_the_reference_answer_in_a_pattern_stands_for_itself(judge: Verifier) -> None:
    assert one(judge, "so #### 4.5", "4.5\n").value == 1.0
    assert one(judge, "so #### 425", "4.5").value == 0.0
    assert one(judge, "so #### (", "(").value == 1.0
    assert one(judge, "so #### ", " ").status == "failed"
    assert one(judge, "so #### 4", None).status == "failed"


def test_a_poisoned_text_fails_and_all_others_are_answered(judge: Verifier) -> None:
    texts = ["#### 4", ENDLESS, "#### 5", ENDLESS, "#### 4"]
    replies = judge.answer([asked(text, "4") for text in texts], "r0-s0")
    assert [r.value for r in replies] == [1.0, None, 0.0, None, 1.0]
    assert "processor time" in replies[1].raw
    assert judge.usage()["starts"] == 3.0


def test_processor_time_is_counted_anew_for_each_text() -> None:
    judge = verifier("regex", seconds=0.3, pattern="^(a+)+$")
    slow = [asked("a" * 19 + "!", None)] * 25  # together well above the limit
    assert {r.value for r in judge.answer(slow, "r0-s0")} == {0.0}
    assert judge.usage()["starts"] == 1.0
    judge.close()


def test_a_process_that_was_killed_while_idle_costs_no_judgement(judge: Verifier) -> None:
    assert one(judge, "#### 4", "4").value == 1.0
    killed = child()
    killed.kill()
    killed.wait(10)
    assert one(judge, "#### 4", "4").value == 1.0


def test_a_text_that_needs_too_much_memory_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier_process, "BYTES", 256 << 20)
    (tmp_path / "any.json").write_text(json.dumps({"type": "array"}))
    judge = verifier("json_schema", schema=str(tmp_path / "any.json"))
    large = "[" + "[]," * 4_000_000 + "[]]"
    replies = judge.answer([asked(text, None) for text in ("[]", large, "[]", "{}")], "r0-s0")
    assert [r.value for r in replies] == [1.0, None, 1.0, 0.0]
    judge.close()


def test_the_process_is_told_no_secrets(judge: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    one(judge, "#### 4", "4")
    assert set(child().environ()) <= {"PYTHONPATH", "PYTHONHASHSEED", "OMP_NUM_THREADS", "LC_CTYPE"}


def test_a_copy_by_pickle_starts_a_process_of_its_own(judge: Verifier) -> None:
    untouched = pickle.loads(pickle.dumps(judge))
    assert one(judge, "#### 4", "4").value == 1.0
    copy = pickle.loads(pickle.dumps(judge))
    assert copy.version("") == untouched.version("") == judge.version("")
    assert one(copy, "#### 4", "4").value == 1.0
    assert one(copy, ENDLESS, "4").status == "failed"
    assert judge.usage()["starts"] == 1.0
    copy.close()
    assert one(judge, "#### 4", "4").value == 1.0


def test_closed_or_forgotten_it_leaves_no_process() -> None:
    judge = verifier("regex", pattern="x")
    for _ in range(2):  # closed, it can still be asked
        one(judge, "x", None)
        process = child()
        judge.close()
        assert not process.is_running()
    one(judge, "x", None)
    process = child()
    del judge
    gc.collect()
    assert not process.is_running()


KILLED = """
from tests.loop.judges.verifying import one, verifier
judge = verifier("regex", pattern="x")
one(judge, "x", None)
print(judge._checking._process.pid, flush=True)
input()
"""


def test_the_process_ends_with_its_parent() -> None:
    root = Path(__file__).parents[3]
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        process = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_where_no_process_starts_the_judge_says_so(judge: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    for program, why in (("/bin/false", "ended with status 1"), ("/nowhere/python", "No such file")):
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(InfrastructureFailed, match=why):
            one(judge, "#### 4", "4")


FUZZED = verifier("regex", seconds=1.0, pattern=r"(\w|{answer})+$")


@settings(deadline=None)
@given(st.text(alphabet=st.characters(categories=None)), st.text(alphabet=st.characters(categories=None)))
def test_any_text_and_any_answer_is_decided_or_failed(text: str, answer: str) -> None:
    assert is_a_verdict(one(FUZZED, text, answer))

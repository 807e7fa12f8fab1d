from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from loop.errors import Refused
from loop.judge_config import JudgeKind, LlmConfig, ReadBy, ServerConfig, TooLong
from loop.judges.judge import Asked, Reply
from loop.judges.remote.judge import RemoteJudge
from loop.records import Question
from tests.loop.judges.remote.faults import FaultyProxy
from tests.loop.judges.remote.stub_server import StubServer

PAIR = """
name: pair
version: 1
source: test
asks: preference
labels: [A, B, C]
marker: "Verdict:"
text: "Q {instruction} | 1 {answer_a} | 2 {answer_b}"
"""
SCORE = """
name: score
version: 1
source: test
asks: score
scores: [1, 2, 3, 4, 5]
marker: "Score:"
text: "Q {instruction} | {answer}"
"""

Make = Callable[..., RemoteJudge]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def judge(url: str, template: str = PAIR, server: dict[str, Any] | None = None, **config: Any) -> RemoteJudge:
        file = tmp_path / "template.yaml"
        file.write_text(template)
        settings = ServerConfig(url=url, cache=str(tmp_path / "cache"), attempts=1, **(server or {}))
        return RemoteJudge(
            LlmConfig(name="llm", kind=JudgeKind.llm, model="m", template=str(file), server=settings, **config)
        )

    return judge


def pair(first: str, second: str, sample: int = 0, answer: str | None = None) -> Asked:
    turns = [{"role": "user", "content": "why"}]
    return Asked(Question("p", [f"id-{first[:9]}", f"id-{second[:9]}"], sample), turns, (first, second), answer)


def single(text: str, sample: int = 0) -> Asked:
    return Asked(Question("p", ["id"], sample), [{"role": "user", "content": "why"}], (text,), None)


def test_a_preference_is_read_from_the_first_tokens(make: Make) -> None:
    with StubServer() as server:
        (reply,) = make(server.url).answer([pair("one", "two")], "r0-s0")
        (body,) = server.bodies
    assert (reply.status, reply.value) == ("decided", pytest.approx((0.6 + 0.05) / 0.9))
    assert body["messages"] == [{"role": "user", "content": "Q why | 1 one | 2 two"}]
    assert {k: body[k] for k in ("max_tokens", "logprobs", "top_logprobs", "temperature")} == {
        "max_tokens": 1,
        "logprobs": True,
        "top_logprobs": 20,
        "temperature": 1.0,
    }


def test_little_mass_on_the_verdicts_is_failed(make: Make) -> None:
    with StubServer() as server:
        (reply,) = make(server.url, min_mass=0.95).answer([pair("one", "two")], "r0-s0")
    assert (reply.status, reply.value) == ("failed", None)


@pytest.mark.parametrize(
    ("said", "status", "value"),
    [
        ("<think>[[B]]</think>Verdict: A", "decided", 1.0),
        ("Verdict: B", "decided", 0.0),
        ("Verdict: C", "undecided", 0.5),
        ("<think>Verdict: A", "failed", None),
        ("I cannot say.", "failed", None),
    ],
)
def test_a_written_preference_is_read_without_thinking(make: Make, said: str, status: str, value: float) -> None:
    with StubServer(lambda body: said) as server:
        (reply,) = make(server.url, read=ReadBy.text).answer([pair("one", "two")], "r0-s0")
    assert (reply.raw, reply.status, reply.value) == (said, status, value)


def test_a_written_score_is_read(make: Make) -> None:
    with StubServer(lambda body: "Good. Score: 4") as server:
        (reply,) = make(server.url, SCORE, read=ReadBy.text, max_tokens=33).answer([single("x")], "r0-s0")
        assert server.bodies[0]["max_tokens"] == 33
    assert (reply.status, reply.value) == ("decided", 4.0)


@pytest.mark.parametrize(
    ("said", "vllm", "status", "value"),
    [
        ('{"verdict": "2"}', False, "decided", 2.0),
        ("2", True, "decided", 2.0),
        ("2", False, "failed", None),
        ("7", True, "failed", None),
        ('{"verdict": ["2"]}', False, "failed", None),
        ('{"verd', False, "failed", None),
    ],
)
def test_a_constrained_verdict_is_the_whole_reply(
    make: Make, said: str, vllm: bool, status: str, value: float | None
) -> None:
    with StubServer(lambda body: said) as server:
        judge = make(server.url, SCORE, {"vllm": vllm}, read=ReadBy.constrained)
        (reply,) = judge.answer([single("x")], "r0-s0")
        (body,) = server.bodies
    assert (reply.raw, reply.status, reply.value) == (said, status, value)
    choices = [str(n) for n in range(1, 6)]
    if vllm:
        assert body["structured_outputs"] == {"choice": choices}
    else:
        schema = body["response_format"]["json_schema"]
        assert schema["schema"]["properties"] == {"verdict": {"type": "string", "enum": choices}}
        assert schema["strict"] is True


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls", None])
@pytest.mark.parametrize(("read", "said"), [(ReadBy.text, "Score: 1"), (ReadBy.constrained, "1")])
def test_a_text_that_the_judge_did_not_end_holds_no_verdict(
    make: Make, reason: str | None, read: ReadBy, said: str
) -> None:
    with StubServer(lambda body: said, reason) as server:
        (reply,) = make(server.url, SCORE, {"vllm": True}, read=read).answer([single("x")], "r0-s0")
    assert reply == Reply(said, "failed", None)


def test_a_reply_of_one_token_may_go_on(make: Make) -> None:
    with StubServer(reason="length") as server:
        (reply,) = make(server.url).answer([pair("one", "two")], "r0-s0")
    assert reply.status == "decided"


@pytest.mark.parametrize(
    ("template", "first", "second"),
    [
        (SCORE.replace("[1, 2, 3, 4, 5]", "[10, 5, 1]"), "1", "10"),
        (PAIR.replace("[A, B, C]", "[A, B, AB]"), "A", "AB"),
    ],
)
def test_a_verdict_with_which_another_begins_is_not_read_from_probabilities(
    make: Make, template: str, first: str, second: str
) -> None:
    with pytest.raises(Refused, match=rf"the verdict '{first}' is how '{second}' begins.*judge\.read=constrained"):
        make("http://host/v1", template)
    for read in (ReadBy.text, ReadBy.constrained):
        assert make("http://host/v1", template, read=read)
    assert make("http://host/v1", PAIR.replace("[A, B, C]", "[AB, B, CB]")), "an end may be alike"


def test_repeats_are_different_samples_only_with_chance(make: Make) -> None:
    asked = [pair("one", "two", sample) for sample in range(3)]
    with StubServer(lambda body: "Verdict: A") as server:
        make(server.url, read=ReadBy.text).answer(asked, "r0-s0")
        assert len(server.bodies) == 1
        assert "seed" not in server.bodies[0]
        make(server.url, read=ReadBy.text, temperature=0.7).answer(asked, "r0-s0")
        seeds = {body["seed"] for body in server.bodies[1:]}
        assert len(seeds) == 3
        assert {body["temperature"] for body in server.bodies[1:]} == {0.7}
        make(server.url, read=ReadBy.text, temperature=0.7, server={"key_variable": "X"}).answer(asked, "r1-s1")
        assert len(server.bodies) == 4, "the same questions have the same seeds, and were answered"


def test_the_order_shown_is_another_sample(make: Make) -> None:
    with StubServer(lambda body: "Verdict: A") as server:
        make(server.url, read=ReadBy.text, temperature=1.0).answer([pair("x", "y"), pair("y", "x")], "r0-s0")
        assert len({body["seed"] for body in server.bodies}) == 2


def test_control_strings_are_shown_as_text_and_counted(make: Make) -> None:
    asked = Asked(
        Question("p", ["a", "b"]),
        [{"role": "user", "content": "<|im_start|>why"}],
        ("[INST]one", "</s><s>two"),
        None,
    )
    with StubServer() as server:
        judge = make(server.url)
        judge.answer([asked], "r0-s0")
        (message,) = server.bodies[0]["messages"]
    assert (
        message["content"] == "Q \u27e8|im_start|\u27e9why | 1 \u27e6INST\u27e7one | 2 \u27e8/s\u27e9\u27e8s\u27e9two"
    )
    assert judge.usage()["escaped"] == 4


def test_a_template_that_shows_the_reference_fails_without_one(make: Make) -> None:
    template = SCORE.replace("| {answer}", "| {answer} | {reference}")
    with StubServer(lambda body: "Score: 1") as server:
        judge = make(server.url, template, read=ReadBy.text)
        known = Asked(Question("p", ["id"]), [{"role": "user", "content": "why"}], ("x",), "</s>gold")
        lacking, answered = judge.answer([single("x"), known], "r0-s0")
        assert [body["messages"][0]["content"] for body in server.bodies] == ["Q why | x | \u27e8/s\u27e9gold"]
    assert (lacking.status, answered.value) == ("failed", 1.0)
    assert "reference" in lacking.raw


def refuses_above(characters: int) -> Callable[[dict[str, Any]], str | int]:
    return lambda body: 400 if len(body["messages"][-1]["content"]) > characters else "Score: 3"


def test_a_question_that_the_server_refuses_is_failed(make: Make) -> None:
    with StubServer(refuses_above(100)) as server:
        long, short = make(server.url, SCORE, read=ReadBy.text).answer([single("x" * 200), single("y")], "r0-s0")
    assert (long.status, long.value, list(json.loads(long.raw))) == ("failed", None, ["refused"])
    assert short.value == 3.0


@pytest.mark.parametrize("how", [TooLong.cut_end, TooLong.cut_start])
def test_a_refused_question_is_asked_again_with_a_shorter_response(make: Make, how: TooLong) -> None:
    text = "a" * 100 + "z" * 100
    with StubServer(refuses_above(100)) as server:
        judge = make(server.url, SCORE, read=ReadBy.text, max_context=40, max_tokens=10, too_long=how)
        replies = judge.answer([single("y"), single(text), single("y" * 80)], "r0-s0")
        longest = max((body["messages"][0]["content"] for body in server.bodies[3:]), key=len)
    assert [reply.value for reply in replies] == [3.0, 3.0, 3.0]
    assert [reply.cut > 0 for reply in replies] == [False, True, False]
    assert longest == "Q why | " + (text[: 90 - 8] if how is TooLong.cut_end else text[-(90 - 8) :])


def test_a_reply_begins_as_the_template_says_where_the_server_can(make: Make) -> None:
    template = PAIR + 'begin: "Verdict: "\n'
    with StubServer() as server:
        (reply,) = make(server.url, template, {"vllm": True}).answer([pair("x", "y")], "r0-s0")
        (body,) = server.bodies
        assert body["messages"][-1] == {"role": "assistant", "content": "Verdict: "}
        assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
        assert reply.status == "decided"
        with pytest.raises(Refused, match=r"judge\.server\.vllm"):
            make(server.url, template)
        make(server.url, template, read=ReadBy.text).answer([pair("x", "y")], "r0-s0")
        assert len(server.bodies[-1]["messages"]) == 1


def test_failures_are_judgements_and_are_counted(make: Make) -> None:
    with StubServer() as stub, FaultyProxy(stub.url, cycle(["500", "no_logprobs", "empty_choices", "ok"])) as proxy:
        judge = make(proxy.url, server={"concurrency": 1})
        replies = judge.answer([pair(f"x{i}", "y") for i in range(4)], "r0-s0")
    assert [reply.status for reply in replies] == ["failed"] * 3 + ["decided"]
    assert [reply.value is None for reply in replies] == [True, True, True, False]
    told = judge.usage()
    assert (told["questions"], told["requests"], told["failures"]) == (4, 4, 3)


def test_the_version_names_what_answers(make: Make) -> None:
    plain = make("http://host:8000/v1")
    assert plain.version("r0-s0") == plain.version("r9-s9")
    assert plain.version("") == f"m-server-{plain.template.digest[:8]}-probabilities"
    assert plain.version("") == make("https://other/v1").version(""), "where it answers is no part of it"
    revised = make("http://host:8000/v1", revision="r").version("")
    assert revised == plain.version("").replace("m-", "m@r-", 1)
    others = [
        make("http://host:8000/v1", revision="r"),
        make("http://host:8000/v1", SCORE),
        make("http://host:8000/v1", read=ReadBy.text),
    ]
    assert len({judge.version("") for judge in (plain, *others)}) == 4


def test_a_judge_can_be_sent_to_another_process(make: Make) -> None:
    with StubServer() as server:
        judge = pickle.loads(pickle.dumps(make(server.url)))
        (reply,) = judge.answer([pair("x", "y")], "r0-s0")
    assert reply.status == "decided"


def test_a_server_without_a_url_is_refused(make: Make) -> None:
    with pytest.raises(Refused, match=r"judge\.server\.url"):
        make("")

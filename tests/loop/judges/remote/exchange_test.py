from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.judges.remote.exchange import Completion, Failure, Request, read_completion


def answer(choice: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"choices": [choice], **more}).encode()


def message(content: Any) -> dict[str, Any]:
    return {"message": {"content": content}, "finish_reason": "stop"}


def top(*tokens: Any) -> dict[str, Any]:
    return {**message("A"), "logprobs": {"content": [{"top_logprobs": list(tokens)}]}}


def token(text: Any, logprob: Any) -> dict[str, Any]:
    return {"token": text, "logprob": logprob}


def test_text_reason_and_tokens_are_read() -> None:
    read = read_completion(answer(message("yes"), usage={"prompt_tokens": 7, "completion_tokens": 3}), False, 1.5)
    assert read == Completion("yes", "stop", None, 7, 3, 1.5)


def test_log_probs_are_those_of_the_first_token() -> None:
    choice = top(token("A", -0.5), token(" B", -1))
    choice["logprobs"]["content"].append({"top_logprobs": [token("C", -0.1)]})
    read = read_completion(answer(choice), True)
    assert isinstance(read, Completion)
    assert read.logprobs == pytest.approx({"A": -0.5, " B": -1.0})


def test_tokens_of_the_same_text_count_together() -> None:
    read = read_completion(answer(top(token("\ufffd", math.log(0.25)), token("\ufffd", math.log(0.5)))), True)
    assert isinstance(read, Completion)
    assert read.logprobs == {"\ufffd": pytest.approx(math.log(0.75))}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "invalid_json"),
        (b"<html>", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"[]", "wrong_shape"),
        (b"null", "wrong_shape"),
        (b'{"error": {"message": "no"}}', "no_choices"),
        (b'{"choices": []}', "no_choices"),
        (b'{"choices": 3}', "no_choices"),
        (b'{"choices": ["yes"]}', "wrong_shape"),
        (b'{"choices": [{"text": "yes"}]}', "wrong_shape"),
        (answer(message(["yes"])), "wrong_shape"),
    ],
)
def test_an_answer_that_is_none_is_named(body: bytes, kind: str) -> None:
    read = read_completion(body, False)
    assert isinstance(read, Failure)
    assert read.kind == kind


@pytest.mark.parametrize(
    "choice",
    [
        message("A"),
        {**message("A"), "logprobs": None},
        {**message("A"), "logprobs": {"content": []}},
        {**message("A"), "logprobs": {"content": [{}]}},
        top(),
        top(token("A", None)),
        top(token("A", "high")),
        top(token("A", float("nan"))),
        top(token("A", 0.7)),
        top(token("A", 10**400)),
        top(token(7, -0.5)),
        top(token("A", -float("inf"))),
        top("A"),
    ],
)
def test_missing_or_malformed_log_probs_are_no_completion(choice: dict[str, Any]) -> None:
    read = read_completion(answer(choice), True)
    assert isinstance(read, Failure)
    assert read.kind == "no_logprobs"
    assert isinstance(read_completion(answer(choice), False), Completion)


def test_a_thinker_that_ran_out_of_tokens_says_nothing() -> None:
    read = read_completion(answer({"message": {"content": None}, "finish_reason": "length"}), False)
    assert read == Completion("", "length", None, 0, 0)


def test_half_a_character_becomes_storable() -> None:
    read = read_completion(answer({**top(token("\ud800", -1.0)), "message": {"content": "a\ud800"}}), True)
    assert isinstance(read, Completion)
    assert (read.text, list(read.logprobs or {})) == ("a?", ["?"])


NAMES = ["choices", "message", "content", "logprobs", "top_logprobs", "token", "logprob", "usage", "prompt_tokens"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON, JSON, st.booleans())
def test_no_answer_raises(message: Any, logprobs: Any, usage: Any, wants: bool) -> None:
    choice = {"message": message, "logprobs": logprobs}
    for told in (message, {"choices": message}, {"choices": [choice], "usage": usage}):
        read = read_completion(json.dumps(told).encode(), wants)
        if isinstance(read, Completion) and wants:
            assert read.logprobs


@given(st.binary(max_size=50))
def test_bytes_that_are_no_answer_are_a_failure(body: bytes) -> None:
    assert isinstance(read_completion(body, True), Failure)


def request(**changed: Any) -> Request:
    return Request(**{"messages": [{"role": "user", "content": "q"}], "options": {"seed": 1}, "sample": 0, **changed})


def test_everything_that_enters_a_request_enters_its_key() -> None:
    keys = {
        request().key("u", "m", None),
        request().key("v", "m", None),
        request().key("u", "n", None),
        request().key("u", "m", "r"),
        request(messages=[{"role": "user", "content": "p"}]).key("u", "m", None),
        request(messages=[{"role": "system", "content": "q"}]).key("u", "m", None),
        request(options={"seed": 2}).key("u", "m", None),
        request(options={"seed": 1, "logprobs": True}).key("u", "m", None),
        request(sample=1).key("u", "m", None),
    }
    assert len(keys) == 9
    assert request().key("u", "m", None) in keys


def test_a_body_can_hold_half_a_character() -> None:
    body = request(messages=[{"role": "user", "content": "\ud800"}]).body("m")
    assert json.loads(body) == {"model": "m", "messages": [{"role": "user", "content": "\ud800"}], "seed": 1}

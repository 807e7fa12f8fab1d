"""Draws made ready for an engine: where they are sampled, where they stand, and what has no room."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from loop.config import Template
from loop.records import Message, Prompt, Response, digest_of, seed_of
from loop.samplers.replies import Encoder
from loop.samplers.strategy import Draw
from loop.samplers.wanted import NOT_SAMPLED, Wanted, response_of, wanted
from loop.sampling import GenerateRequest, Sampling
from tests.loop.judges.judge_tokenizers import demo

TURNS: list[Message] = [{"role": "user", "content": "reverse abc"}]
OTHER: tuple[Message, ...] = (*TURNS, {"role": "assistant", "content": "cab"}, {"role": "user", "content": "again"})
SAMPLING = Sampling(temperature=1.0, top_p=0.9, top_k=5, min_tokens=2, max_tokens=40, stop=("END",))
REQUEST = GenerateRequest(
    identity="run",
    store="store",
    table="responses",
    round=3,
    shard=0,
    purpose="train",
    policy="r2-s8",
    prompts_path="prompts",
    prompt_ids=("p",),
    k=2,
    sampling=SAMPLING,
)


@dataclass
class Answer:
    tokens_T: list[int]
    logprobs_T: list[float]
    text: str
    finish_reason: str


ANSWER = Answer([7, 8], [-0.5, -0.25], "new", "length")


def encoder(max_context: int = 200) -> Encoder:
    return Encoder(demo(), Template.chat, frozenset({demo().eos_token_id}), max_context)


PROMPT = Prompt("p", json.dumps(TURNS), encoder().turns(TURNS), None, "file")
PROMPT_T, OTHER_T = PROMPT.tokens_T, encoder().turns(OTHER)


def ready(max_context: int = 200, **draw: Any) -> Wanted:
    one = wanted(REQUEST, PROMPT, Draw(**{"purpose": "train", "number": 1, **draw}), "r2-s8", encoder(max_context))
    assert one is not None
    return one


def row(one: Wanted, answer: Answer | None = ANSWER) -> Response:
    return response_of(REQUEST, one, answer, "t")


def too_long(max_context: int, **draw: Any) -> bool:
    one = wanted(REQUEST, PROMPT, Draw(purpose="node", number=1, **draw), "r2-s8", encoder(max_context))
    return one is None


def test_a_plain_draw_is_sampled_behind_its_prompt_with_the_requests_sampling() -> None:
    one = ready()
    assert (one.context_T, one.shown_T, one.text_T, one.sampling) == (PROMPT_T, PROMPT_T, None, SAMPLING)
    key = ("run", 3, "train", "r2-s8", "p", 1)
    made = row(one)
    assert (made.response_id, made.seed, made.k) == (digest_of(*key), seed_of(*key), 1)
    assert (made.prompt_tokens_T, made.tokens_T, made.logprobs_T) == (PROMPT_T, [7, 8], [-0.5, -0.25])
    assert (made.text, made.finish_reason, made.sampling, made.parent) == ("new", "length", SAMPLING.label(), None)
    assert made.loss_mask_T == [True, True]


def test_a_draw_behind_turns_stands_behind_them_unless_it_answers_the_prompt() -> None:
    one = ready(turns=OTHER)
    assert one.context_T == one.shown_T == OTHER_T != PROMPT_T
    assert row(one).logprobs_T == [-0.5, -0.25]
    revised = row(answering := ready(turns=OTHER, answers_prompt=True, parent="first"))
    assert answering.context_T == OTHER_T
    assert (revised.prompt_tokens_T, revised.tokens_T, revised.logprobs_T) == (PROMPT_T, [7, 8], [])
    assert revised.parent == "first"


def test_a_continuation_stands_behind_what_it_continues_and_its_text_is_the_whole() -> None:
    one = ready(prefix_T=(70, 71), prefix="ab")
    assert one.context_T == one.shown_T == [*PROMPT_T, 70, 71]
    made = row(one)
    assert (made.tokens_T, made.logprobs_T, made.text) == ([7, 8], [-0.5, -0.25], "abnew")


def test_a_continuation_that_answers_the_prompt_is_the_whole_answer() -> None:
    made = row(ready(prefix_T=(70, 71), prefix="ab", answers_prompt=True))
    assert (made.prompt_tokens_T, made.tokens_T, made.text) == (PROMPT_T, [70, 71, 7, 8], "abnew")
    assert made.logprobs_T == [] and made.loss_mask_T == [True] * 4


def test_an_answer_to_the_prompt_that_was_sampled_behind_it_keeps_its_log_probs() -> None:
    assert row(ready(answers_prompt=True)).logprobs_T == [-0.5, -0.25]


def test_a_text_is_stored_as_an_answer_that_nobody_sampled() -> None:
    made = row(ready(text="cba"), None)
    assert (made.tokens_T, made.prompt_tokens_T) == (encoder().reply(TURNS, "cba"), PROMPT_T)
    assert (made.text, made.finish_reason, made.logprobs_T, made.sampling) == ("cba", "end", [], NOT_SAMPLED)
    assert made.loss_mask_T == [True] * len(made.tokens_T)
    behind = row(ready(text="cba", turns=OTHER), None)
    assert behind.prompt_tokens_T == OTHER_T and behind.tokens_T == made.tokens_T


def test_a_draws_own_sampling_takes_the_requests_place() -> None:
    one = ready(stop=("\n", "END"), max_tokens=3, temperature=0.25)
    assert one.sampling == Sampling(0.25, 0.9, 5, 2, 3, ("END", "\n"))
    assert row(one).sampling == one.sampling.label()


def test_what_leaves_no_room_for_an_answer_is_too_long() -> None:
    assert too_long(len(OTHER_T), turns=OTHER) and not too_long(len(OTHER_T) + 1, turns=OTHER)
    end = len(PROMPT_T) + 2
    assert too_long(end, prefix_T=(70, 71)) and not too_long(end + 1, prefix_T=(70, 71))
    assert too_long(end + 1, text="cba") and not too_long(end + 2, text="cba")  # with the end token


def test_a_prompt_that_fills_the_context_is_left_to_the_engine_to_refuse() -> None:
    assert not too_long(len(PROMPT_T))


def test_an_answer_to_the_prompt_fits_behind_it_though_it_was_asked_for_in_fewer_words() -> None:
    fewer: tuple[Message, ...] = ({"role": "user", "content": "abc"},)
    assert len(encoder().turns(fewer)) < len(PROMPT_T)
    assert ready(len(PROMPT_T) + 5, turns=fewer, answers_prompt=True).sampling.max_tokens == 5
    begun = ready(len(PROMPT_T) + 5, turns=fewer, prefix_T=(70, 71), answers_prompt=True)
    assert begun.sampling.max_tokens == 3
    assert ready(len(PROMPT_T) + 5, turns=fewer).sampling.max_tokens == 40
    assert too_long(len(PROMPT_T), turns=fewer, answers_prompt=True)

"""Given texts as the tokens of an answer, through templates of all kinds."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from loop.config import Template
from loop.errors import Refused
from loop.prompts.encoding import encode
from loop.records import Message
from loop.samplers.replies import Encoder
from tests.loop.judges.judge_tokenizers import demo, merging, metaspace

TURNS: list[Message] = [{"role": "user", "content": "what is the sum"}]
TWICE: list[Message] = [*TURNS, {"role": "assistant", "content": "A"}, {"role": "user", "content": "is it"}]
ASKED = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
PROMPT = "<|im_start|>user\nwhat is the sum<|im_end|>\n<|im_start|>assistant\n"
SAID = "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"


def encoder(tokenizer: PreTrainedTokenizerBase, template: Template = Template.chat) -> Encoder:
    return Encoder(tokenizer, template, frozenset({tokenizer.eos_token_id}), 512)


def templated(template: str) -> Encoder:
    """A tokenizer with merges and this template."""
    tokenizer = copy.deepcopy(merging())
    tokenizer.chat_template = template
    return encoder(tokenizer)


def each(turn: str, asked: str = ASKED) -> str:
    return "{% for m in messages %}" + turn + "{% endfor %}" + asked


def test_an_answer_is_its_text_and_the_end_token() -> None:
    tokenizer = demo()
    text_T = tokenizer("cba", add_special_tokens=False)["input_ids"]
    assert encoder(tokenizer).reply(TURNS, "cba") == [*text_T, tokenizer.eos_token_id]
    assert encoder(tokenizer).reply(TURNS, "") == [tokenizer.eos_token_id]


def test_a_conversation_is_encoded_as_prompts_are() -> None:
    for turns in (TURNS, TWICE):
        assert encoder(merging()).turns(turns) == encode(merging(), turns, Template.chat)


def test_prompt_and_answer_together_are_what_the_template_writes() -> None:
    one, tokenizer = encoder(merging()), merging()
    for turns in (TURNS, TWICE):
        whole = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": "the sum"}], tokenize=False)
        whole_T = tokenizer(whole, add_special_tokens=False)["input_ids"]
        after_T = tokenizer("\n", add_special_tokens=False)["input_ids"]
        assert one.turns(turns) + one.reply(turns, "the sum") + after_T == whole_T


def test_strings_of_special_tokens_are_text() -> None:
    tokenizer = merging()
    turns: list[Message] = [{"role": "user", "content": "what is <|im_end|>"}]
    reply_T = encoder(tokenizer).reply(turns, "<|im_start|>A <|im_end|> is<|im_end|>")
    assert reply_T.count(tokenizer.eos_token_id) == 1
    assert not set(tokenizer.all_special_ids) & set(reply_T[:-1])
    assert tokenizer.decode(reply_T[:-1]) == "<|im_start|>A <|im_end|> is<|im_end|>"


@given(st.lists(st.sampled_from(["<|im_end|>", "<|", "im_end", "|>", "\n", " ", "what", "ä", "A", "."]), max_size=12))
def test_a_text_comes_back_whole_and_ends_once(pieces: list[str]) -> None:
    tokenizer, text = merging(), "".join(pieces)
    *reply_T, end = encoder(tokenizer).reply(TURNS, text)
    assert end == tokenizer.eos_token_id
    assert tokenizer.decode(reply_T) == text
    assert not set(tokenizer.all_special_ids) & set(reply_T)


def test_white_space_that_would_merge_with_the_prompts_end_stays_apart() -> None:
    tokenizer = copy.deepcopy(merging())
    tokenizer.add_tokens(["\n\n"])
    one = encoder(tokenizer)
    whole_T = tokenizer(f"{PROMPT}\nthe sum", add_special_tokens=False)["input_ids"]
    assert whole_T[: len(one.turns(TURNS))] != one.turns(TURNS), "encoded together they do merge"
    assert tokenizer.decode(one.reply(TURNS, "\nthe sum")[:-1]) == "\nthe sum"


def test_white_space_that_the_template_takes_away_is_no_part_of_the_answer() -> None:
    one = templated(each("<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n"))
    assert one.reply(TURNS, "  the sum \n") == one.reply(TURNS, "the sum")


def test_what_the_template_puts_before_an_answer_is_part_of_it() -> None:
    thought = "{{ '(no thought) ' if m['role'] == 'assistant' else '' }}"
    one = templated(each("<|im_start|>{{ m['role'] }}\n" + thought + "{{ m['content'] }}<|im_end|>\n"))
    assert one.tokenizer.decode(one.reply(TURNS, "the sum")) == "(no thought) the sum<|im_end|>"


def test_an_answer_ends_with_whatever_ends_the_models_answers() -> None:
    tokenizer = copy.deepcopy(merging())
    tokenizer.chat_template = each(SAID + "<|pad|>\n")
    pad = tokenizer.pad_token_id
    reply_T = Encoder(tokenizer, Template.chat, frozenset({tokenizer.eos_token_id, pad}), 512).reply(TURNS, "A")
    assert reply_T[-1] == pad


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (each(SAID + "<|im_end|>\n", ASKED.replace("assistant\n", "assistant\n<think>\n")), "shows a conversation oth"),
        (each(SAID + "{{ messages | length }}<|im_end|>\n"), "shows a conversation otherwise once it has an answer"),
        ("{{ messages[-1]['content'] }}" + ASKED, "shows a conversation otherwise"),
        (each(SAID + "\n"), "none of the tokens at which the engines stop"),
        (each(SAID + "<|im_end|> over\n", ASKED), "none of the tokens"),
        (
            each("{% if m['role'] == 'assistant' %}{{ raise_exception('No answers.') }}{% endif %}"),
            "refuses a conversation with a given text: No answers.",
        ),
        (
            each("<|im_start|>{{ m['role'] }}\n{{ m['content'].split('is')[-1] }}<|im_end|>\n"),
            "does not show an answer as it stands, for example 'this is it'",
        ),
    ],
)
def test_templates_that_given_texts_do_not_go_through_are_refused(template: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        templated(template).reply(TURNS, "this is it")


def test_an_empty_text_needs_an_end_too() -> None:
    with pytest.raises(Refused, match="none of the tokens at which the engines stop"):
        templated(each(SAID)).reply(TURNS, "")


def test_a_conversation_shown_otherwise_is_refused_wherever_it_differs() -> None:
    one = templated("{{ messages | length }}" + each(SAID + "<|im_end|>\n"))
    with pytest.raises(Refused, match="shows a conversation otherwise"):
        one.reply([{"role": "user", "content": "what is <|im_end|>"}], "A")


def test_a_base_models_answer_is_the_text_and_the_end_token() -> None:
    tokenizer = merging()
    one, turns = encoder(tokenizer, Template.none), [{"role": "text", "content": "what is"}]
    text_T = tokenizer(" the sum", add_special_tokens=False)["input_ids"]
    assert one.reply(turns, " the sum") == [*text_T, tokenizer.eos_token_id]
    assert one.turns(turns) == encode(tokenizer, turns, Template.none)
    assert tokenizer.eos_token_id not in one.reply(turns, "A<|im_end|>A")[:-1]


def test_no_space_is_put_before_an_answer() -> None:
    tokenizer = metaspace()
    reply_T = encoder(tokenizer, Template.none).reply([{"role": "text", "content": "A"}], "b")
    assert tokenizer.convert_ids_to_tokens(reply_T) == ["b", "</s>"]


def test_what_a_base_model_cannot_be_told_is_refused() -> None:
    with pytest.raises(Refused, match=r"prompts\.template=none has no words for a conversation of 3 turns"):
        encoder(merging(), Template.none).turns(TWICE)
    with pytest.raises(Refused, match="the tokenizer has no end token"):
        encoder(merging(turn_tokens_special=False), Template.none).reply([{"role": "text", "content": "A"}], "b")

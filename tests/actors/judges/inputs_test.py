"""Conversation and responses as a classifier's token ids."""

from __future__ import annotations

import jinja2
import pytest
from transformers import PreTrainedTokenizerBase

from actors.judges.inputs import InputEncoder
from loop.errors import Refused
from loop.judge_config import TooLong
from tests.actors.judges import kit

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hi!"},
    {"role": "user", "content": "What is 2 + 3?"},
]
PLAIN = [{"role": "text", "content": "what is two and three"}]
REFUSE, START, END = TooLong.refuse, TooLong.cut_start, TooLong.cut_end


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return kit.demo_tokenizer()


@pytest.fixture(scope="module")
def encoder(tokenizer: PreTrainedTokenizerBase) -> InputEncoder:
    return InputEncoder(tokenizer)


def ids(encoder: InputEncoder, *texts: str, turns: list[dict[str, str]] = TURNS) -> list[int]:
    fitted = encoder.fitted(turns, texts, 10_000, REFUSE)
    assert fitted is not None and fitted.cut == 0
    return fitted.input.tokens_T


@pytest.mark.parametrize("text", [*kit.RESPONSES, "\n\nä ", "[0] {x}"])
def test_a_response_gets_exactly_the_ids_of_the_chat_template(
    encoder: InputEncoder, tokenizer: PreTrainedTokenizerBase, text: str
) -> None:
    turns = [*TURNS, {"role": "assistant", "content": text}]
    assert ids(encoder, text) == tokenizer.apply_chat_template(turns, tokenize=True)["input_ids"]


@pytest.mark.parametrize("smuggled", ["<|im_end|>", "<|im_start|>user\n", "<|pad|>", "a<|im_end|>\n<|im_start|>"])
def test_special_strings_in_responses_and_conversations_are_text(
    encoder: InputEncoder, tokenizer: PreTrainedTokenizerBase, smuggled: str
) -> None:
    special = set(tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|im_start|>", "<|pad|>"]))
    ordinary = [token for token in ids(encoder, "x") if token in special]
    hostile = [*TURNS[:-1], {"role": "user", "content": smuggled}]
    for found in (ids(encoder, smuggled), ids(encoder, "x", turns=hostile)):
        assert [token for token in found if token in special] == ordinary
        assert smuggled in tokenizer.decode(found)


def test_too_long_responses_lose_what_is_configured(encoder: InputEncoder, tokenizer: PreTrainedTokenizerBase) -> None:
    text = "abcdefghij<|im_end|>"
    whole = ids(encoder, text)
    assert encoder.fitted(TURNS, [text], len(whole), REFUSE) is not None
    assert encoder.fitted(TURNS, [text], len(whole) - 1, REFUSE) is None
    for too_long, left in ((START, "hij<|im_end|>"), (END, "abcdefghij<|i")):
        fitted = encoder.fitted(TURNS, [text], len(whole) - 7, too_long)
        assert fitted is not None and fitted.cut == 7 and len(fitted.input.tokens_T) == len(whole) - 7
        assert fitted.input.tokens_T == ids(encoder, left)


def test_no_room_for_a_response_is_no_question(encoder: InputEncoder) -> None:
    around = len(ids(encoder, ""))
    assert encoder.fitted(TURNS, ["ab"], around, END) is None
    assert encoder.fitted(TURNS, ["ab"], around - 5, END) is None
    assert encoder.fitted(TURNS, [""], around - 1, END) is None
    one = encoder.fitted(TURNS, ["ab"], around + 1, END)
    assert one is not None and one.cut == 1


def test_a_pair_loses_from_the_longer_response_first(encoder: InputEncoder) -> None:
    around = len(ids(encoder, "")) * 2
    fitted = encoder.fitted(TURNS, ["ab", "abcdefgh"], around + 7, END)
    assert fitted is not None and fitted.cut == 3
    assert fitted.input.tokens_T == ids(encoder, "ab") + ids(encoder, "abcde")


def test_without_a_chat_template_turns_are_lines_and_segments_are_the_tokenizers() -> None:
    tokenizer = kit.word_tokenizer()
    encoder = InputEncoder(tokenizer)
    assert ids(encoder, "five", turns=PLAIN) == tokenizer("what is two and three\nfive")["input_ids"]
    pair = encoder.fitted(PLAIN, ["five", "six or"], 64, REFUSE)
    expected = tokenizer("what is two and three five", "what is two and three six or")
    assert pair is not None and pair.input.tokens_T == expected["input_ids"]
    assert pair.input.second == expected["token_type_ids"].index(1)
    cut = encoder.fitted(PLAIN, ["five", "six or it is"], len(expected["input_ids"]), START)
    kept = tokenizer("what is two and three five", "what is two and three it is")["input_ids"]
    assert cut is not None and (cut.input.tokens_T, cut.cut) == (kept, 2)


def test_segments_of_a_model_without_token_types_are_not_marked(encoder: InputEncoder) -> None:
    pair = encoder.fitted(TURNS, ["a", "b"], 1000, REFUSE)
    assert pair is not None and pair.input.second is None


def test_a_plain_prompt_is_the_users_turn_of_a_chat_template(encoder: InputEncoder) -> None:
    assert ids(encoder, "five", turns=PLAIN) == ids(encoder, "five", turns=[{**PLAIN[0], "role": "user"}])


def test_a_template_that_refuses_the_conversation_or_hides_the_response_says_so() -> None:
    tokenizer = kit.demo_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('no system turn') }}"
    with pytest.raises(jinja2.TemplateError, match="no system turn"):
        InputEncoder(tokenizer).fitted(TURNS, ["a"], 1000, REFUSE)
    tokenizer.chat_template = "{{ messages[-1]['content'] * 2 }}"
    with pytest.raises(Refused, match="does not show a response once"):
        InputEncoder(tokenizer).fitted(TURNS, ["abcdef"], 3, END)

"""Chat turns -> token ids."""

from __future__ import annotations

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from loop.config import Template
from loop.errors import Refused
from loop.prompts.encoding import TemplateRefused, encode, encode_all, special_strings
from loop.records import Message

WORDS = st.sampled_from(["what", " is", " the", " sum", "<|", "|>", "im_end", "ä", "\n", "[", "0", "]", " "])
SMUGGLED = st.sampled_from(["<|im_end|>", "<|im_start|>", "<|pad|>"])
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def user(content: str) -> list[Message]:
    return [{"role": "user", "content": content}]


@pytest.fixture(params=["byte_level", "merging"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    made: PreTrainedTokenizerBase = request.getfixturevalue(request.param)
    return made


@SHARED
@given(contents=st.lists(st.lists(WORDS).map("".join).filter(lambda text: "<|im_end|>" not in text), min_size=1))
def test_ordinary_conversations_get_exactly_the_ids_of_the_chat_template(
    tokenizer: PreTrainedTokenizerBase, contents: list[str]
) -> None:
    turns = [{"role": ("user", "assistant")[n % 2], "content": content} for n, content in enumerate(contents)]
    expected = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True)["input_ids"]
    assert encode(tokenizer, turns, Template.chat) == expected


@SHARED
@given(content=st.lists(WORDS | SMUGGLED).map("".join))
def test_special_strings_in_a_prompt_are_text(tokenizer: PreTrainedTokenizerBase, content: str) -> None:
    special = set(tokenizer.convert_tokens_to_ids(special_strings(tokenizer)))
    ids = encode(tokenizer, user(content), Template.chat)
    empty = encode(tokenizer, user(""), Template.chat)
    assert [i for i in ids if i in special] == [i for i in empty if i in special]
    rendered = tokenizer.apply_chat_template(user(content), add_generation_prompt=True, tokenize=False)
    assert tokenizer.decode(ids) == rendered


def test_a_special_string_is_written_with_ordinary_merges(merging: PreTrainedTokenizerBase) -> None:
    text = merging("<|im_end|>", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert len(text) < len(merging(["<", "|im_end|>"])["input_ids"][1]) + 1
    before, after = (encode(merging, user(content), Template.chat) for content in ("a", "a<|im_end|>"))
    at = next(n for n, (one, other) in enumerate(zip(before, after, strict=False)) if one != other)
    assert after == before[:at] + text + before[at:]


def test_the_longest_special_string_is_found_first(byte_level: PreTrainedTokenizerBase) -> None:
    tokenizer = copy.deepcopy(byte_level)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|im", "<|im_end|>>"]})
    strings = special_strings(tokenizer)
    assert strings.index("<|im_end|>>") < strings.index("<|im_end|>") < strings.index("<|im")


def test_special_strings_in_every_turn_and_pieces_of_sentinels_survive(byte_level: PreTrainedTokenizerBase) -> None:
    turns: list[Message] = [
        {"role": "system", "content": "<|pad|><|pad|>"},
        {"role": "user", "content": "<|im_start|>[0]<|im_<|im_end|>end|>"},
    ]
    rendered = byte_level.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    ids = encode(byte_level, turns, Template.chat)
    assert byte_level.decode(ids) == rendered
    assert [ids.count(special) for special in (0, 1, 2)] == [0, 3, 2]


def test_many_are_encoded_as_one_by_one(tokenizer: PreTrainedTokenizerBase) -> None:
    many = [user(f"sum {n}" + "<|im_end|>" * (n % 7 == 0)) for n in range(1500)]
    ids = encode_all(tokenizer, many, Template.chat)
    assert [ids[n] for n in (0, 1, 7, 1499)] == [encode(tokenizer, many[n], Template.chat) for n in (0, 1, 7, 1499)]
    assert len(ids) == 1500


def test_raw_text_gets_the_tokenizers_own_defaults(unigram: PreTrainedTokenizerBase) -> None:
    text: list[Message] = [{"role": "text", "content": "ab"}]
    assert encode(unigram, text, Template.none) == unigram.encode("ab") == [2, *unigram.encode("ab")[1:]]


@pytest.mark.parametrize("content", ["a</s>b", "</s>", "<s>", "<s></s>ab"])
def test_special_strings_in_raw_text_are_text_also_where_the_vocabulary_holds_them(
    unigram: PreTrainedTokenizerBase, content: str
) -> None:
    assert 1 in unigram("a</s>", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    ids = encode(unigram, [{"role": "text", "content": content}], Template.none)
    assert ids[0] == unigram.bos_token_id
    assert not {1, 2} & set(ids[1:])
    assert unigram.decode(ids[1:]).replace(" ", "") == content


def test_a_special_token_of_one_letter_that_is_also_a_piece_is_refused(unigram: PreTrainedTokenizerBase) -> None:
    tokenizer = copy.deepcopy(unigram)
    tokenizer.add_special_tokens({"extra_special_tokens": ["b"]})
    assert encode(tokenizer, [{"role": "text", "content": "a"}], Template.none)
    with pytest.raises(Refused, match="no way to write 'b' as text"):
        encode(tokenizer, [{"role": "text", "content": "ab"}], Template.none)


def test_a_tokenizer_without_a_template_is_refused(unigram: PreTrainedTokenizerBase) -> None:
    with pytest.raises(Refused, match=r"no chat template; .* prompts\.template=none"):
        encode(unigram, user("ab"), Template.chat)


def test_messages_that_the_template_rejects_are_refused_with_their_index(byte_level: PreTrainedTokenizerBase) -> None:
    template = byte_level.chat_template
    byte_level.chat_template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system!') }}{% endif %}"
    try:
        with pytest.raises(TemplateRefused, match="conversation 2: No system!") as refusal:
            encode_all(byte_level, [user("a"), [{"role": "system", "content": "b"}, *user("a")]], Template.chat)
    finally:
        byte_level.chat_template = template
    assert refusal.value.index == 1

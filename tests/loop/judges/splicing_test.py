"""A judge's question as token ids: what is text stays text, and what must give way does."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from loop.composition import CONF
from loop.config import Template
from loop.errors import Refused
from loop.judge_config import TooLong
from loop.judges.judge import Asked
from loop.judges.ordinary import PieceEncoder
from loop.judges.splicing import cut_to, spliced
from loop.judges.template import JudgeTemplate, load_template, messages
from loop.prompts.encoding import encode, special_strings
from loop.records import Question
from tests.loop.judges.judge_tokenizers import CHATML, LLAMA, demo, merging, metaspace

DEMO = load_template(str(CONF / "demo" / "judge_pairwise.yaml"))
SCORE = JudgeTemplate("s", 1, "", "score", "{instruction}|{answer}|{reference}", scores=(0, 1))
TOKENIZERS = {
    "demo": demo(),
    "merging": merging(),
    "unmarked": merging(False),
    "metaspace": metaspace(),
    "plain": metaspace(False),
}
WORDS = st.sampled_from(["what", " is", " the", "<|", "|>", "im_end", "ab", "A", "ä", "\n", "[", "</", "s>", " ", ""])
SMUGGLED = st.sampled_from(["<|im_end|>", "<|im_start|>", "<|pad|>", "<s>", "</s>", "<unk>", "{answer_b}"])
TEXTS = st.lists(WORDS | SMUGGLED, max_size=8).map("".join)
QUICK = settings(deadline=None, max_examples=60)


def asked(instruction: str, *texts: str, answer: str | None = None) -> Asked:
    turns = [{"role": "user", "content": instruction}]
    return Asked(Question("p", [f"id{i}" for i in range(len(texts))]), turns, texts, answer)


def ids(
    tokenizer: PreTrainedTokenizerBase,
    template: JudgeTemplate,
    question: Asked,
    limit: int = 10**6,
    too_long: TooLong = TooLong.refuse,
) -> list[int]:
    made = spliced(tokenizer, template, question, limit, too_long)
    assert made is not None
    return made.tokens_T


def controls(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    named = [*special_strings(tokenizer), *(t for t in ("<|im_start|>", "<|im_end|>") if t in tokenizer.get_vocab())]
    return set(tokenizer.convert_tokens_to_ids(named))


@pytest.mark.parametrize("name", TOKENIZERS)
@QUICK
@given(instruction=TEXTS, first=TEXTS, second=TEXTS)
def test_no_field_can_bring_a_special_token(name: str, instruction: str, first: str, second: str) -> None:
    tokenizer = TOKENIZERS[name]
    special = controls(tokenizer) - {tokenizer.unk_token_id}
    found = ids(tokenizer, DEMO, asked(instruction, first, second))
    empty = ids(tokenizer, DEMO, asked("", "", ""))
    assert [i for i in found if i in special] == [i for i in empty if i in special]


@pytest.mark.parametrize("name", ["demo", "merging", "unmarked"])
@QUICK
@given(instruction=TEXTS, first=TEXTS, second=TEXTS)
def test_the_judge_reads_every_field_as_it_was_written(name: str, instruction: str, first: str, second: str) -> None:
    tokenizer, question = TOKENIZERS[name], asked(instruction, first, second)
    shown = tokenizer.apply_chat_template(messages(DEMO, question), add_generation_prompt=True, tokenize=False)
    assert tokenizer.decode(ids(tokenizer, DEMO, question)) == shown


@QUICK
@given(instruction=TEXTS, first=TEXTS, second=TEXTS, end=st.booleans())
def test_every_string_of_the_demos_tokenizer_stays_text(instruction: str, first: str, second: str, end: bool) -> None:
    extra = copy.deepcopy(demo())
    extra.add_special_tokens({"extra_special_tokens": ["im_end", "<|", "what is"]})
    question = asked(instruction, first, second)
    found = ids(extra, DEMO, question)
    assert max(found) < len(demo())
    assert found == ids(demo(), DEMO, question)


@QUICK
@given(instruction=st.text(max_size=20), first=st.text(max_size=20), second=st.text(max_size=20))
def test_bytes_are_those_of_the_whole_text(instruction: str, first: str, second: str) -> None:
    question = asked(instruction, first, second)
    assert ids(demo(), DEMO, question) == encode(demo(), messages(DEMO, question), Template.chat)


def test_a_special_string_is_written_with_ordinary_merges() -> None:
    written = "<|im_end|> the sum"
    text = merging()(written, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert len(text) < len(written)
    found = ids(merging(), SCORE, asked("what", written))
    assert any(found[n : n + len(text)] == text for n in range(len(found)))


def test_no_space_is_put_at_the_seams() -> None:
    tokenizer = metaspace()
    found = ids(tokenizer, replace(SCORE, text="c[{instruction}]{answer}c"), asked("ab", "A", answer=None))
    assert tokenizer.convert_ids_to_tokens(found) == [
        *("<s>", "▁", "[", "u", "s", "e", "r", "]", "▁", "c", "["),
        *("a", "b", "]", "A", "c", "▁", "[", "e", "n", "d", "]"),
    ]
    assert "▁ab" in tokenizer.convert_ids_to_tokens(ids(tokenizer, SCORE, asked(" ab", "")))


def test_a_field_that_begins_with_an_anchor_is_not_swallowed() -> None:
    tokenizer = metaspace()
    encoder = PieceEncoder(tokenizer)
    for text in ("\n", "\n\n", ":", "1", "x", "ä", "ää", "\nä"):
        shown = tokenizer.convert_ids_to_tokens(encoder.untrusted(text, first=False))
        assert [token for token in shown if token != "▁"], text
    # here a line's end and the letter after it are one entry
    assert tokenizer.convert_ids_to_tokens(encoder.untrusted("A", first=False)) == ["A"]


def test_an_anchor_that_the_vocabulary_lacks_takes_nothing_along() -> None:
    tokenizer = metaspace(lines=False)
    assert PieceEncoder(tokenizer).untrusted("ä", first=False) == [tokenizer.unk_token_id]


def test_unknown_characters_are_allowed_and_the_unknown_tokens_string_is_text() -> None:
    tokenizer = metaspace()
    unknown = tokenizer.unk_token_id
    assert ids(tokenizer, SCORE, asked("", "aäa")).count(unknown) > ids(tokenizer, SCORE, asked("", "aa")).count(
        unknown
    )
    written = ids(tokenizer, SCORE, asked("", "a<unk>"))
    assert written.count(unknown) == ids(tokenizer, SCORE, asked("", "a")).count(unknown)


def test_a_special_token_of_one_letter_that_is_also_a_piece_is_refused() -> None:
    tokenizer = copy.deepcopy(metaspace())
    tokenizer.add_special_tokens({"extra_special_tokens": ["b"]})
    assert spliced(tokenizer, SCORE, asked("a", "a"), 10**6, TooLong.refuse)
    with pytest.raises(Refused, match="no way to write 'b' as text"):
        spliced(tokenizer, SCORE, asked("a", "ab"), 10**6, TooLong.refuse)


def test_without_a_chat_template_the_text_stands_alone_after_the_start_token() -> None:
    tokenizer = metaspace(False)
    found = ids(tokenizer, replace(SCORE, system="de", begin="A"), asked("ab", "c", answer="d"))
    assert tokenizer.convert_ids_to_tokens(found) == ["<s>", "▁", *"de\n\nab|c|dA"]
    opened = ids(tokenizer, SCORE, asked("ab", "c", answer="d"))
    assert tokenizer.convert_ids_to_tokens(opened) == ["<s>", "▁ab", *"|c|d"]


def test_the_reply_begins_as_the_template_says() -> None:
    question = asked("what", "is")
    bare = ids(demo(), SCORE, question)
    assert ids(demo(), replace(SCORE, begin="Score: "), question) == bare + demo().encode("Score: ")


def test_template_and_chat_template_may_use_special_tokens() -> None:
    template = replace(SCORE, text="<|im_end|>" + SCORE.text)
    assert ids(demo(), template, asked("", "")).count(2) == ids(demo(), SCORE, asked("", "")).count(2) + 1


def test_a_chat_template_that_does_not_take_the_turns_is_refused() -> None:
    tokenizer = copy.deepcopy(demo())
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system!') }}{% endif %}"
    tokenizer.chat_template = refusing + CHATML
    assert ids(tokenizer, SCORE, asked("a", "b"))
    with pytest.raises(Refused, match=r"refuses judge template s: No system!\."):
        spliced(tokenizer, replace(SCORE, system="Judge."), asked("a", "b"), 100, TooLong.refuse)
    twice = copy.deepcopy(demo())
    twice.chat_template = LLAMA + LLAMA
    with pytest.raises(Refused, match="does not show judge template s once"):
        spliced(twice, SCORE, asked("a", "b"), 100, TooLong.refuse)


def test_a_question_fits_exactly_or_is_refused() -> None:
    question = asked("what", "first", "second")
    whole = ids(demo(), DEMO, question)
    assert ids(demo(), DEMO, question, limit=len(whole)) == whole
    assert spliced(demo(), DEMO, question, len(whole) - 1, TooLong.refuse) is None


@pytest.mark.parametrize(
    ("over", "start", "end"),
    [
        (1, ("bcdef", "xyz"), ("abcde", "xyz")),
        (3, ("def", "xyz"), ("abc", "xyz")),
        (4, ("ef", "yz"), ("ab", "xy")),
        (5, ("ef", "yz"), ("ab", "xy")),
        (7, ("f", "z"), ("a", "x")),
    ],
)
def test_responses_give_way_and_nothing_else(over: int, start: tuple[str, str], end: tuple[str, str]) -> None:
    question = asked("what", "abcdef", "xyz")
    limit = len(ids(demo(), DEMO, question)) - over
    for too_long, (first, second) in ((TooLong.cut_start, start), (TooLong.cut_end, end)):
        cut = spliced(demo(), DEMO, question, limit, too_long)
        assert cut is not None
        assert cut.tokens_T == ids(demo(), DEMO, asked("what", first, second))
        assert cut.cut == 9 - len(first + second)
        swapped = spliced(demo(), DEMO, asked("what", "xyz", "abcdef"), limit, too_long)
        assert swapped is not None
        assert swapped.tokens_T == ids(demo(), DEMO, asked("what", second, first))


@pytest.mark.parametrize("too_long", [TooLong.cut_start, TooLong.cut_end])
def test_where_nothing_would_be_left_of_a_response_there_is_no_question(too_long: TooLong) -> None:
    bare = len(ids(demo(), DEMO, asked("what", "", "")))
    for room, texts in ((2, ("ab", "c")), (2, ("c", "ab")), (1, ("", "ab")), (1, ("ab", ""))):
        made = spliced(demo(), DEMO, asked("what", *texts), bare + room, too_long)
        assert made is not None and made.cut == len("".join(texts)) - room
        assert spliced(demo(), DEMO, asked("what", *texts), bare + room - 1, too_long) is None
        assert spliced(demo(), DEMO, asked("what", *texts), bare - 1, too_long) is None
    reference = len(ids(demo(), SCORE, asked("what", "", answer="Paris")))
    assert spliced(demo(), SCORE, asked("what", "ab", answer="Paris"), reference + 1, too_long)
    assert spliced(demo(), SCORE, asked("what", "ab", answer="Paris"), reference, too_long) is None


def test_a_response_that_was_empty_is_shown_empty() -> None:
    whole = ids(demo(), DEMO, asked("what", "", ""))
    assert ids(demo(), DEMO, asked("what", "", ""), len(whole), TooLong.cut_end) == whole


@given(st.lists(st.integers(0, 40), min_size=1, max_size=2), st.integers(0, 90))
def test_what_is_left_fits_and_favours_nobody(lengths: list[int], room: int) -> None:
    left = cut_to(lengths, room)
    assert sum(left) <= room
    assert sum(left) >= min(room, sum(lengths)) - 1
    assert all(0 <= kept <= length for kept, length in zip(left, lengths, strict=True))
    assert cut_to(lengths[::-1], room) == left[::-1]
    if left != lengths and len(left) == 2:
        shorter = lengths.index(min(lengths))
        assert left[shorter] == lengths[shorter] or left[0] == left[1]

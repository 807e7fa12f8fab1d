"""Files of prompts -> the pool of a run."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from loop.config import PromptsConfig, PromptSource, Template
from loop.errors import Refused
from loop.prompts.encoding import encode
from loop.prompts.loading import load_prompts
from loop.prompts.pool import PromptPool

Load = Callable[..., PromptPool]
WriteRows = Callable[..., str]


def ask(*numbers: int, **columns: Any) -> list[dict[str, Any]]:
    return [{"prompt": f"Add {n}", "answer": str(n), **columns} for n in numbers]


@pytest.fixture
def load(byte_level: PreTrainedTokenizerBase) -> Load:
    def load(
        *paths: str,
        held_out: tuple[str, ...] = (),
        retention: tuple[str, ...] = (),
        required: tuple[str, ...] = (),
        limit: int = 99,
        **config: Any,
    ) -> PromptPool:
        prompts = PromptsConfig(
            "test",
            [PromptSource(path) for path in paths],
            [PromptSource(path) for path in held_out],
            retention=[PromptSource(path) for path in retention],
            **{"held_out_size": 0, "per_round": 1, **config},
        )
        return load_prompts(prompts, byte_level, limit, required, 0.5, held_out_columns=required)

    return load


def ids(pool: PromptPool) -> list[set[str]]:
    return [{p.prompt_id for p in some} for some in (*pool.train.values(), pool.gate, pool.test)]


def test_prompts_are_encoded_and_kept_by_source(
    load: Load, write_rows: WriteRows, byte_level: PreTrainedTokenizerBase
) -> None:
    one, two = write_rows("a.jsonl", *ask(1, 2)), write_rows("b.jsonl", {"prompt": "Why<|im_end|>?"})
    pool = load(one, two)
    assert [p.turns()[-1]["content"] for p in pool.train[one]] == ["Add 1", "Add 2"]
    assert all(p.tokens_T == encode(byte_level, p.turns(), Template.chat) for p in pool.train[one] + pool.train[two])
    assert pool.weights == {one: 1.0, two: 1.0}


def test_duplicates_long_prompts_and_blank_lines_are_left_out_and_counted(load: Load, write_rows: WriteRows) -> None:
    one = write_rows("a.jsonl", *ask(1, 2, 1), "", *ask(3), "  ", {"prompt": "x" * 200})
    two = write_rows("b.jsonl", *ask(3, 4))
    pool = load(one, two)
    counts = pool.counts
    assert (counts.rows, counts.duplicates, counts.too_long, counts.blank_lines) == (7, 2, 1, 2)
    assert (counts.train, counts.gate, counts.test) == (4, 0, 0)
    assert len(pool.train[one]) == 3
    assert counts.sentence().startswith(
        "7 rows read: 4 prompts for rounds, 0 for the gate, 0 for the test (left out: 2"
    )


def test_a_prompt_as_long_as_the_context_fits(load: Load, write_rows: WriteRows) -> None:
    path = write_rows("a.jsonl", *ask(1, 22))
    longest = max(len(p.tokens_T) for p in load(path).train[path])
    assert load(path, limit=longest).counts.too_long == 0
    assert load(path, limit=longest - 1).counts.too_long == 1


def test_held_out_prompts_are_the_same_whatever_the_order_of_the_file(load: Load, write_rows: WriteRows) -> None:
    rows = ask(*range(40))
    pool = load(write_rows("a.jsonl", *rows), held_out_size=11)
    random.Random(0).shuffle(rows)
    again = load(write_rows("b.jsonl", *rows), held_out_size=11)
    assert ids(pool) == ids(again)
    assert pool.digest == again.digest
    train, gate, test = ids(pool)
    assert (len(train), len(gate), len(test)) == (29, 6, 5)
    assert len(train | gate | test) == 40


def test_held_out_files_replace_the_split_of_the_pool(load: Load, write_rows: WriteRows) -> None:
    one, two = write_rows("a.jsonl", *ask(1, 2)), write_rows("b.jsonl", *ask(3, 4, 5, 5))
    pool = load(one, held_out=(two,), held_out_size=1)
    assert (pool.counts.train, pool.counts.gate, pool.counts.test, pool.counts.duplicates) == (2, 2, 1, 1)
    assert {p.source for p in pool.gate + pool.test} == {"b.jsonl"}, "rows do not tell in which folder a file lay"


def test_a_held_out_file_that_overlaps_is_refused(load: Load, write_rows: WriteRows) -> None:
    one, two = write_rows("a.jsonl", *ask(1, 2, 3)), write_rows("b.jsonl", *ask(9, 3), {"prompt": "Add 2"})
    with pytest.raises(Refused) as refusal:
        load(one, held_out=(two,))
    assert str(refusal.value) == (
        f"prompts for rounds that are held out as well: 2, for example {one}, line 2, which is {two}, line 3."
    )


def test_prompts_of_retention_are_read_apart_and_may_be_nowhere_else(load: Load, write_rows: WriteRows) -> None:
    one, two, three = (write_rows(f"{n}.jsonl", *ask(*some)) for n, some in enumerate((range(6), (7, 8), (9, 10, 11))))
    pool = load(one, held_out=(two,), retention=(three,))
    assert len(pool.retention) == pool.counts.retention == 3 and pool.counts.too_long == 0
    assert pool.digest != load(one, held_out=(two,)).digest
    with pytest.raises(Refused, match="prompts for rounds that are held out as well: 6"):
        load(one, held_out=(two,), retention=(one,))
    with pytest.raises(Refused, match=r"prompts of prompts\.retention that are held out as well: 2"):
        load(one, held_out=(two,), retention=(two,))


def test_the_same_prompt_with_another_answer_is_refused(load: Load, write_rows: WriteRows) -> None:
    one, two = write_rows("a.jsonl", *ask(1, 2)), write_rows("b.jsonl", {"prompt": "Add 2", "answer": "3"})
    with pytest.raises(Refused) as refusal:
        load(one, two)
    assert (
        str(refusal.value) == f"{two}, line 1: the prompt of {one}, line 2 again, but `answer` is '3' instead of '2'."
    )
    with pytest.raises(
        Refused, match=r"line 2: the prompt of .*, line 1 again, but `answer` is missing instead of '1'"
    ):
        load(write_rows("c.jsonl", *ask(1), {"prompt": "Add 1"}))


def test_the_system_message_belongs_to_the_prompt(load: Load, write_rows: WriteRows) -> None:
    path = write_rows("a.jsonl", *ask(1))
    (prompt,) = load(path, system="Be brief").train[path]
    assert prompt.turns()[0] == {"role": "system", "content": "Be brief"}
    assert load(path, system="Be brief").digest != load(path).digest


def test_a_missing_column_is_refused_with_its_first_line(load: Load, write_rows: WriteRows) -> None:
    path = write_rows("a.jsonl", *ask(1), "", {"prompt": "Why?"}, {"prompt": "How?"})
    with pytest.raises(Refused, match=r"a\.jsonl, line 3: `answer` is missing"):
        load(path, required=("answer",))
    with pytest.raises(Refused, match=r"a\.jsonl, line 3: `answer` is missing"):
        load(write_rows("b.jsonl", *ask(5)), held_out=(path,), required=("answer",))
    with pytest.raises(Refused, match="`anwser` is required, but prompts have no such column"):
        load(path, required=("anwser",))
    labelled = write_rows("c.jsonl", *ask(1, label=False))
    assert load(labelled, required=("answer", "label")).train[labelled][0].label is False


@pytest.mark.parametrize(
    ("lines", "config", "problem"),
    [
        ([], {}, "is empty: it holds no prompt"),
        (["", " "], {}, "is empty: it holds no prompt"),
        (ask(1, 2), {"limit": 5}, r"no prompt of .*a\.jsonl fits: the shortest has \d+ tokens, .* room for 5"),
        (
            ask(1, 2),
            {"held_out_size": 2},
            r"no prompt of .*a\.jsonl is left for rounds: prompts\.held_out_size=2 takes all 2",
        ),
        (ask(1, 2), {"per_round": 3}, "a.jsonl gives 3 of prompts.per_round=3 prompts, but has only 2"),
        (ask(1, 2), {"per_round": 0}, "prompts.per_round must be at least 1"),
        (ask(1, 2), {"template": Template.none, "system": "s"}, "prompts.system needs a chat template"),
    ],
)
def test_pools_that_no_run_can_use_are_refused(
    load: Load, write_rows: WriteRows, lines: list[Any], config: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Refused, match=problem):
        load(write_rows("a.jsonl", *lines), **config)


def test_sources_that_make_no_sense_are_refused(
    load: Load, write_rows: WriteRows, byte_level: PreTrainedTokenizerBase
) -> None:
    path = write_rows("a.jsonl", *ask(1, 2))
    with pytest.raises(Refused, match="names no file"):
        load()
    with pytest.raises(Refused, match="named twice"):
        load(path, path)
    with pytest.raises(Refused, match="adds no prompt"):
        load(path, write_rows("b.jsonl", *ask(2, 1)))
    for weight in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(Refused, match=r"the weight of .*a\.jsonl is"):
            load_prompts(PromptsConfig("test", [PromptSource(path, weight)]), byte_level, 99, [], 0.5)


def test_messages_that_the_template_rejects_are_refused_with_their_line(
    write_rows: WriteRows, merging: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejecting = "{% if 'b' in messages[0]['content'] %}{{ raise_exception('No b.') }}{% endif %}x"
    monkeypatch.setattr(merging, "chat_template", rejecting)
    path = write_rows("a.jsonl", {"prompt": "a"}, "", {"prompt": "b"})
    with pytest.raises(Refused, match=r"a\.jsonl, line 3: the chat template refuses the messages: No b\.$"):
        load_prompts(PromptsConfig("test", [PromptSource(path)]), merging, 99, [], 0.5)

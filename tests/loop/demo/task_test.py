"""The task's answers, pools and prompt files."""

import json
import random

import pytest

from loop.demo.make_prompts import PROMPTS, prompt_files
from loop.demo.slips import SLIPS, double, drop, replace, slip, swap_neighbours
from loop.demo.task import BUCKETS, KINDS, Pool, answer_to, draw_word, is_right, make_items, pool_of

NAMES = ("rounds", "given")


class _Fixed(random.Random):
    """A generator whose positions and letters are given."""

    def randrange(self, *_: object, **__: object) -> int:
        return 1

    def choice(self, seq):  # type: ignore[no-untyped-def]
        return "x"


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [("Copy: qkzbf", "qkzbf"), ("Upper: qkzbf", "QKZBF"), ("Next: qkzbf", "rlacg"), ("Mask: qkaef", "qk**f")],
)
def test_answers(prompt: str, answer: str) -> None:
    assert answer_to(prompt) == answer
    assert is_right(prompt, answer)
    assert not is_right(prompt, answer + answer[-1])


@pytest.mark.parametrize("prompt", ["qkzbf", "Shout: qkzbf", "Copy: ", "Copy:qkzbf"])
def test_foreign_instructions_are_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match="not an instruction"):
        answer_to(prompt)


def test_every_bucket_belongs_to_one_pool() -> None:
    assert sorted(bucket for pool in Pool for bucket in pool.value) == list(range(BUCKETS))


@pytest.mark.parametrize("pool", list(Pool))
def test_words_are_of_their_pool(pool: Pool) -> None:
    rng = random.Random(0)
    assert {pool_of(draw_word(pool, rng)) for _ in range(200)} == {pool}


def test_items_are_the_seeds_alone() -> None:
    assert make_items(Pool.ROUNDS, 50, 0) == make_items(Pool.ROUNDS, 50, 0)
    assert make_items(Pool.ROUNDS, 50, 0) != make_items(Pool.ROUNDS, 50, 1)


def test_items_are_distinct_and_of_every_kind() -> None:
    prompts = [item.prompt for item in make_items(Pool.ROUNDS, 500, 0)]
    assert len(set(prompts)) == 500
    assert {prompt.partition(": ")[0] for prompt in prompts} == set(KINDS)


def test_slips_by_hand() -> None:
    rng = _Fixed()
    assert swap_neighbours("abcd", rng) == "acbd"
    assert drop("abcd", rng) == "acd"
    assert double("abcd", rng) == "abbcd"
    assert replace("abcd", rng) == "axcd"
    assert replace("ABCD", rng) == "AXCD"


@pytest.mark.parametrize("right", ["abcde", "aaaaa", "ABABA"])
def test_a_slip_is_wrong(right: str) -> None:
    rng = random.Random(0)
    assert all(slip(right, rng) != right for _ in range(300))


def test_every_kind_of_slip_is_made() -> None:
    rng = random.Random(0)
    lengths = [len(slip("abcde", rng)) for _ in range(400)]
    share = 1 / len(SLIPS)
    assert lengths.count(4) / 400 == pytest.approx(share, abs=0.06)
    assert lengths.count(6) / 400 == pytest.approx(share, abs=0.06)


def test_nothing_to_slip_on_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        slip("a", random.Random(0))


def test_prompt_files_are_what_the_function_makes() -> None:
    for name, text in prompt_files().items():
        assert (PROMPTS / name).read_text(encoding="utf-8") == text
    assert {path.name for path in PROMPTS.iterdir()} == {*prompt_files(), "README.md"}
    counts = {name: text.count("\n") for name, text in prompt_files().items()}
    assert counts == {"rounds.jsonl": 2048, "held_out.jsonl": 1024, "given.jsonl": 2048}


def test_given_answers_are_right_and_rejected_ones_are_not() -> None:
    rounds, given = ([json.loads(line) for line in prompt_files()[f"{name}.jsonl"].splitlines()] for name in NAMES)
    for row, more in zip(rounds, given, strict=True):
        assert {name: more[name] for name in row} == row
        assert all(is_right(more["prompt"], more[name]) for name in ("completion", "chosen", "teacher"))
        assert not is_right(more["prompt"], more["rejected"])

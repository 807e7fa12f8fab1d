"""Which prompts are held out, and which of them are the gate's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loop.prompts.held_out import set_aside, split
from loop.records import Prompt

PROMPTS = st.sets(st.integers(0, 10_000), max_size=40).map(
    lambda numbers: [Prompt(f"{number:032x}", "[]", [1], None, "a") for number in numbers]
)


@given(prompts=PROMPTS, size=st.integers(0, 50))
def test_the_prompts_set_aside_do_not_depend_on_order(prompts: list[Prompt], size: int) -> None:
    chosen = set_aside(prompts, size)
    assert len(chosen) == min(size, len(prompts))
    assert chosen == set_aside(prompts[::-1], size)


@given(prompts=PROMPTS.filter(len), size=st.integers(0, 50))
def test_a_larger_pool_changes_few_of_the_prompts_set_aside(prompts: list[Prompt], size: int) -> None:
    before, after = set_aside(prompts[1:], size), set_aside(prompts, size)
    assert len(before - after) <= 1


@given(prompts=PROMPTS, share=st.floats(0.0, 1.0))
def test_gate_and_test_are_disjoint_and_complete(prompts: list[Prompt], share: float) -> None:
    gate, test = split(prompts, share)
    assert {p.prompt_id for p in gate} | {p.prompt_id for p in test} == {p.prompt_id for p in prompts}
    assert len(gate) + len(test) == len(prompts)
    assert (gate, test) == split(prompts[::-1], share)
    assert abs(len(gate) - share * len(prompts)) <= 1.0
    assert (gate and test) or share in (0.0, 1.0) or len(prompts) < 2


def test_the_split_does_not_follow_the_choice_of_held_out_prompts() -> None:
    prompts = [Prompt(f"{number:032x}", "[]", [1], None, "a") for number in range(100)]
    smallest = set_aside(prompts, 50)
    gate, _ = split(prompts, 0.5)
    assert 10 < sum(p.prompt_id in smallest for p in gate) < 40

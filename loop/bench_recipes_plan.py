"""What `ratchet bench recipes` runs: every recipe with about the same number of samples, whatever its groups are made
of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from loop.config import AlgorithmConfig, RunConfig
from loop.errors import Refused, nearest
from loop.recipe import sampler_of, sources_of
from loop.records import Prompt, Response
from loop.samplers import Draw
from loop.verdict import Group

BUDGET = 3 * 256 * 8
"""Samples of policies in one run."""

PROMPT = Prompt("prompt", '[{"role": "user", "content": "a question"}]', [1], "an answer", "")
"""Whose group is imagined to count what a strategy asks for."""

VALUE = 0.0
"""What the judge says of every imagined response: wrong, so that no search ends early."""


def points(recipes: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, int]]:
    """Recipe and seed of every run, in order: all recipes with one seed before the next, so that a slow while of the
    machine does not fall on one recipe."""
    return [(recipe, seed) for seed, recipe in product(seeds, recipes)]


def chosen(names: str | None, core: Sequence[str], known: Iterable[str]) -> list[str]:
    """The recipes that `--recipes` names, separated by commas; the core ones where nothing is named. Raises: Refused
    for a name that there is not."""
    if names is None:
        return list(core)
    wanted, known = _listed("--recipes", names), sorted(known)
    for name in wanted:
        if name not in known:
            raise Refused(f"--recipes: there is no recipe {name!r}{nearest(name, known)}; there are {', '.join(known)}")
    return wanted


def seeds_of(given: str) -> list[int]:
    """The seeds that `--seeds` names, separated by commas. Raises: Refused for anything but whole numbers."""
    words = _listed("--seeds", given)
    for word in words:
        if not (word.isascii() and word.isdigit()):
            raise Refused(f"--seeds: {word!r} is not a whole number from 0")
    return [int(word) for word in words]


def _listed(option: str, given: str) -> list[str]:
    words = [word for one in given.split(",") if (word := one.strip())]
    if not words:
        raise Refused(f"{option} names nothing")
    for at, word in enumerate(words):
        if word in words[:at]:
            raise Refused(f"{option} names {word} twice")
    return words


def _imagined(draw: Draw) -> Response:
    """A response such as a strategy may be given in its next step."""
    return Response(
        response_id=f"{draw.purpose}-{draw.number}",
        round=1,
        purpose=draw.purpose,
        policy="r0-s0",
        prompt_id=PROMPT.prompt_id,
        k=draw.number,
        prompt_tokens_T=PROMPT.tokens_T,
        tokens_T=[*draw.prefix_T, 1],
        logprobs_T=[],
        loss_mask_T=[True],
        text="an answer",
        finish_reason="stop" if draw.stop else "end",
        seed=0,
        sampling="",
        tokenizer="",
        parent=draw.parent,
    )


def prompts_for(config: RunConfig, budget: int) -> int:
    """How many prompts in each of the run's rounds bring it as near as possible to a budget of samples; as many as are
    configured where policies are asked for none."""
    samples = samples_of_prompt(config.algorithm, config.rounds)
    return max(1, round(budget / samples)) if samples else config.prompts.per_round


def samples_of_prompt(recipe: AlgorithmConfig, rounds: int) -> int:
    """How many responses policies give to a prompt that all of these rounds draw: the policy's own, drafts included,
    and those of other policies. Of a search it is what it asks for where the judge calls every answer wrong."""
    strategy, options, _ = sampler_of(recipe)
    group, own = Group(PROMPT.prompt_id, ()), 0
    for step in range(strategy.steps(options)):
        values = {one.response_id: VALUE for one in group.responses_K}
        draws = strategy.propose(PROMPT, group, values, options, step, recipe.k)
        own += sum(draw.text is None for draw in draws)
        group = Group(PROMPT.prompt_id, (*group.responses_K, *(_imagined(draw) for draw in draws)))
    total = rounds * own
    for source in sources_of(recipe):
        if source.policy == "mixture":  # in the first round both of its policies are the same
            total += source.k + (rounds - 1) * source.draws
        elif source.policy:
            total += rounds * source.k
    return total

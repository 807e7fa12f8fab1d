"""Which prompts are set aside for evaluation: decided by digests of prompt ids, whatever the order of a file."""

from __future__ import annotations

from collections.abc import Iterable

from loop.records import Prompt, digest_of


def set_aside(prompts: Iterable[Prompt], size: int) -> set[str]:
    """The ids of the `size` prompts with the smallest digests (all, if there are fewer)."""
    return {prompt.prompt_id for prompt in _by_digest("held out", prompts)[:size]}


def split(prompts: Iterable[Prompt], gate_share: float) -> tuple[list[Prompt], list[Prompt]]:
    """Held-out prompts as (gate, test), disjoint; neither is empty if 0 < `gate_share` < 1 and there are two."""
    ordered = _by_digest("gate", prompts)
    size = round(gate_share * len(ordered))
    if 0.0 < gate_share < 1.0 and len(ordered) > 1:
        size = min(max(size, 1), len(ordered) - 1)
    return ordered[:size], ordered[size:]


def _by_digest(purpose: str, prompts: Iterable[Prompt]) -> list[Prompt]:
    return sorted(prompts, key=lambda prompt: digest_of(purpose, prompt.prompt_id))

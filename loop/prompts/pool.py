"""The pool: prompts without duplicates, conflicts or prompts that do not fit, and the counts of what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from loop.errors import Refused
from loop.prompts.canonical import Draft
from loop.prompts.mixing import whole_weights
from loop.records import Prompt, digest_of


@dataclass(frozen=True, slots=True)
class PoolCounts:
    """What was read, over all files, what was left out of it, and where the rest went."""

    rows: int
    blank_lines: int
    duplicates: int
    too_long: int
    train: int
    gate: int
    test: int
    retention: int = 0

    def sentence(self) -> str:
        """The counts for a person."""
        left_out = f"{self.duplicates:,} duplicates, {self.too_long:,} too long, {self.blank_lines:,} blank lines"
        used = f"{self.train:,} prompts for rounds, {self.gate:,} for the gate, {self.test:,} for the test"
        used += f", {self.retention:,} for retention" if self.retention else ""
        return f"{self.rows:,} rows read: {used} (left out: {left_out})."


@dataclass(frozen=True)
class PromptPool:
    """All prompts of a run, each once: `train` and `weights` by name of the source; `gate` and `test` are held out,
    and so are those of `retention`, which come from files of their own."""

    train: Mapping[str, list[Prompt]]
    weights: Mapping[str, float]
    gate: list[Prompt]
    test: list[Prompt]
    counts: PoolCounts
    retention: list[Prompt] = field(default_factory=list)

    @cached_property
    def digest(self) -> str:
        """Of prompt ids and weights, whatever the order of rows and sources, names of files, scale of weights."""
        weights = dict(zip(self.weights, whole_weights(list(self.weights.values())), strict=True))
        train = [[sorted(_ids(prompts)), weights[name]] for name, prompts in self.train.items()]
        held_out = [sorted(_ids(prompts)) for prompts in (self.gate, self.test, self.retention)]
        return digest_of("prompt pool", sorted(train), *held_out)

    @property
    def everything(self) -> list[Prompt]:
        """All prompts: those for rounds, the gate's, the test's and those of retention."""
        return [*(p for prompts in self.train.values() for p in prompts), *self.gate, *self.test, *self.retention]


def _ids(prompts: Iterable[Prompt]) -> Iterator[str]:
    return (prompt.prompt_id for prompt in prompts)


def without_duplicates(drafts: Iterable[Draft], seen: dict[str, Draft]) -> list[Draft]:
    """The drafts whose messages are not in `seen` (drafts by messages), which takes them in and serves several files.

    Raises `Refused` where messages come back with another answer.
    """
    kept: list[Draft] = []
    for draft in drafts:
        first = seen.setdefault(draft.prompt.messages, draft)
        if first is draft:
            kept.append(draft)
        elif first.prompt.answer != draft.prompt.answer:
            here, there = _shown(draft.prompt.answer), _shown(first.prompt.answer)
            raise Refused(
                f"{draft.place}: the prompt of {first.place} again, but `answer` is {here} instead of {there}."
            )
    return kept


def refuse_overlap(
    train: Iterable[Draft], held_out: Mapping[str, Draft], what: str = "prompts for rounds that are held out"
) -> None:
    """Raise `Refused` if prompts (by their messages) are both drawn for rounds and held out, or whatever `what`
    says."""
    shared = [draft for draft in train if draft.prompt.messages in held_out]
    if shared:
        first, other = shared[0], held_out[shared[0].prompt.messages]
        raise Refused(f"{what} as well: {len(shared)}, for example {first.place}, which is {other.place}.")


def fitting(source: str, prompts: Sequence[Prompt], limit: int) -> list[Prompt]:
    """The prompts of a source with at most `limit` tokens. Raises `Refused` if none is left."""
    kept = [prompt for prompt in prompts if len(prompt.tokens_T) <= limit]
    if not kept:
        shortest = min(len(prompt.tokens_T) for prompt in prompts)
        raise Refused(
            f"no prompt of {source} fits: the shortest has {shortest} tokens, the context leaves room for {limit}."
        )
    return kept


def _shown(answer: str | None) -> str:
    if answer is None:
        return "missing"
    return repr(answer if len(answer) <= 60 else answer[:57] + "...")

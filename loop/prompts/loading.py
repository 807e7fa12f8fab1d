"""The one way in: a configuration of prompts and the policy's tokenizer -> the pool of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from loop.config import PromptsConfig, PromptSource, Template
from loop.errors import Refused
from loop.prompts.canonical import OPTIONAL_COLUMNS, Draft, canonical_row
from loop.prompts.drawing import refuse_small_pool
from loop.prompts.encoding import TemplateRefused, encode_all
from loop.prompts.held_out import set_aside, split
from loop.prompts.pool import PoolCounts, PromptPool, fitting, refuse_overlap, without_duplicates
from loop.prompts.reading import read_source, source_label, source_name
from loop.records import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_prompts(
    config: PromptsConfig,
    tokenizer: PreTrainedTokenizerBase,
    max_prompt_tokens: int,
    required_columns: Sequence[str],
    gate_share: float,
    held_out_columns: Sequence[str] = (),
) -> PromptPool:
    """Read, check, encode and split the prompts of a run.

    `required_columns` are those without which a prompt is useless in a round, `held_out_columns` the same for
    evaluation prompts that come from files of their own. Prompts of more than `max_prompt_tokens` tokens are left
    out. Raises `Refused`.
    """
    _refuse_configuration(config, [*required_columns, *held_out_columns])
    train = _read(config.sources, config, required_columns)
    held_out = _read(config.held_out, config, held_out_columns)
    retention = _read(config.retention, config, held_out_columns)
    _refuse_overlaps(train, held_out, retention)
    prompts = _encoded(train, tokenizer, config.template, max_prompt_tokens)
    evaluated = [p for some in _encoded(held_out, tokenizer, config.template, max_prompt_tokens).values() for p in some]
    if not config.held_out:
        prompts, evaluated = _set_aside(prompts, config.held_out_size)
    gate, test = split(evaluated, gate_share)
    kept = [p for some in _encoded(retention, tokenizer, config.template, max_prompt_tokens).values() for p in some]
    used = sum(map(len, prompts.values()))
    readings = (train, held_out, retention)
    rows, found = sum(one.rows for one in readings), sum(one.found for one in readings)
    counts = PoolCounts(
        rows=rows,
        blank_lines=sum(one.blank_lines for one in readings),
        duplicates=rows - found,
        too_long=found - used - len(evaluated) - len(kept),
        train=used,
        gate=len(gate),
        test=len(test),
        retention=len(kept),
    )
    weights = {source_name(source): source.weight for source in config.sources}
    pool = PromptPool(prompts, weights, gate, test, counts, kept)
    refuse_small_pool(pool, config.per_round)
    return pool


@dataclass
class _Reading:
    """The drafts of some sources by name, without duplicates, and what was counted on the way."""

    drafts: dict[str, list[Draft]] = field(default_factory=dict)
    rows: int = 0
    blank_lines: int = 0

    @property
    def found(self) -> int:
        return sum(map(len, self.drafts.values()))


def _refuse_overlaps(train: _Reading, held_out: _Reading, retention: _Reading) -> None:
    """Raises: Refused where a prompt is for rounds and held out, or held out for two uses."""
    drafts = [[draft for some in one.drafts.values() for draft in some] for one in (train, held_out, retention)]
    by_messages = [{draft.prompt.messages: draft for draft in some} for some in drafts]
    refuse_overlap(drafts[0], by_messages[1])
    refuse_overlap(drafts[0], by_messages[2])
    refuse_overlap(drafts[2], by_messages[1], "prompts of prompts.retention that are held out")


def _refuse_configuration(config: PromptsConfig, required: Sequence[str]) -> None:
    if not config.sources:
        raise Refused("prompts.sources names no file.")
    if config.per_round < 1 or config.held_out_size < 0:
        raise Refused("prompts.per_round must be at least 1 and prompts.held_out_size at least 0.")
    for sources in (config.sources, config.held_out, config.retention):
        names = [source_name(source) for source in sources]
        for name, source in zip(names, sources, strict=True):
            if names.count(name) > 1:
                raise Refused(f"{name} is named twice among the prompt sources.")
            if not (math.isfinite(source.weight) and source.weight > 0.0):
                raise Refused(f"the weight of {name} is {source.weight}; weights must be finite and above 0.")
    if config.system and config.template is Template.none:
        raise Refused("prompts.system needs a chat template, but prompts.template is none.")
    for column in required:
        if column not in OPTIONAL_COLUMNS:
            raise Refused(
                f"`{column}` is required, but prompts have no such column; they have {', '.join(OPTIONAL_COLUMNS)}."
            )


def _read(sources: Sequence[PromptSource], config: PromptsConfig, required: Sequence[str]) -> _Reading:
    reading = _Reading()
    seen: dict[str, Draft] = {}
    for source in sources:
        name, rows_before = source_name(source), reading.rows
        drafts = without_duplicates(_drafts(source, config, required, reading), seen)
        if reading.rows == rows_before:
            raise Refused(f"{name} is empty: it holds no prompt.")
        if not drafts:
            raise Refused(f"{name} adds no prompt: the sources before it hold all of them.")
        reading.drafts[name] = drafts
    return reading


def _drafts(source: PromptSource, config: PromptsConfig, required: Sequence[str], reading: _Reading) -> Iterator[Draft]:
    label = source_label(source)
    for row in read_source(source):
        if row is None:
            reading.blank_lines += 1
            continue
        reading.rows += 1
        draft = canonical_row(row, label, config.template, config.system)
        for column in required:
            if getattr(draft.prompt, column) is None:
                row.refuse(f"`{column}` is missing, and this run needs it in every row")
        yield draft


def _encoded(
    reading: _Reading, tokenizer: PreTrainedTokenizerBase, template: Template, limit: int
) -> dict[str, list[Prompt]]:
    """The prompts of each source that fit into the context, with their token ids."""
    encoded: dict[str, list[Prompt]] = {}
    for name, drafts in reading.drafts.items():
        try:
            tokens_N = encode_all(tokenizer, [draft.prompt.turns() for draft in drafts], template)
        except TemplateRefused as refusal:
            raise Refused(
                f"{drafts[refusal.index].place}: the chat template refuses the messages: {refusal.reason}."
            ) from refusal
        encoded[name] = fitting(
            name, [replace(d.prompt, tokens_T=t) for d, t in zip(drafts, tokens_N, strict=True)], limit
        )
    return encoded


def _set_aside(prompts: dict[str, list[Prompt]], size: int) -> tuple[dict[str, list[Prompt]], list[Prompt]]:
    """Prompts by source without those held out, and those held out."""
    everything = [prompt for some in prompts.values() for prompt in some]
    chosen = set_aside(everything, size)
    left = {name: [p for p in some if p.prompt_id not in chosen] for name, some in prompts.items()}
    for name, some in left.items():
        if not some:
            raise Refused(
                f"no prompt of {name} is left for rounds: prompts.held_out_size={size} takes all {len(prompts[name])}."
            )
    return left, [prompt for prompt in everything if prompt.prompt_id in chosen]

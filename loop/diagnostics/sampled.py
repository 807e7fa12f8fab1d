"""A round's responses without their tokens: what the figures need of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loop.judges.verifier_checks import exact
from loop.records import ShardRef
from loop.shards import read_arrow

_COLUMNS = ["response_id", "prompt_id", "purpose", "policy", "text", "tokens_T", "logprobs_T"]


@dataclass(frozen=True)
class Sampled:
    """Responses `[K]` of all groups, in the order of their shards.

    `logprob_K` is the sum under the policy that sampled them, not a number where none is known; `right_K` is 1 for
    exactly the reference answer, 0 for another one, not a number for prompts without one.
    """

    prompt_K: np.ndarray
    purpose_K: np.ndarray
    policy_K: np.ndarray
    tokens_K: np.ndarray
    logprob_K: np.ndarray
    right_K: np.ndarray
    index: dict[str, int] = field(repr=False)

    def by(self, policy: str) -> np.ndarray:
        """Whether a policy sampled it for training, `[K]`."""
        own: np.ndarray = (self.policy_K == policy) & (self.purpose_K == "train")
        return own

    def right_of(self, response_ids: Sequence[str]) -> np.ndarray:
        """`right_K` of responses by their ids; not a number for one of another round."""
        known = [self.index.get(one) for one in response_ids]
        return np.asarray([np.nan if at is None else self.right_K[at] for at in known], np.float64)


def read_sampled(refs: Sequence[ShardRef], prompts_path: str) -> Sampled:
    """The responses of some shards; `prompts_path` is the file of their prompts."""
    tables = [read_arrow(ref, _COLUMNS) for ref in refs]
    table = pa.concat_tables(tables).combine_chunks() if tables else None
    if table is None or not table.num_rows:
        nothing, none = np.zeros(0), np.zeros(0, object)
        return Sampled(none, none, none, nothing, nothing, nothing, {})
    ids, prompts, purposes, policies, texts = (table[name].to_pylist() for name in _COLUMNS[:5])
    answers = _answers(prompts_path, prompts)
    right = [
        float(exact(text, answer, {}).right is True) if (answer := answers.get(prompt)) is not None else np.nan
        for text, prompt in zip(texts, prompts, strict=True)
    ]
    return Sampled(
        prompt_K=np.asarray(prompts, object),
        purpose_K=np.asarray(purposes, object),
        policy_K=np.asarray(policies, object),
        tokens_K=np.asarray(pc.list_value_length(table["tokens_T"]), np.float64),
        logprob_K=_sums(table["logprobs_T"]),
        right_K=np.asarray(right, np.float64),
        index={one: at for at, one in enumerate(ids)},
    )


def _answers(prompts_path: str, prompt_ids: Sequence[str]) -> dict[str, str | None]:
    table = read_arrow(prompts_path, ["prompt_id", "answer"])
    kept = table.filter(pc.is_in(table["prompt_id"], pa.array(sorted(set(prompt_ids)))))
    return dict(zip(kept["prompt_id"].to_pylist(), kept["answer"].to_pylist(), strict=True))


def _sums(lists: pa.ChunkedArray) -> np.ndarray:
    """The sum of each list, not a number for an empty one."""
    lengths = np.asarray(pc.list_value_length(lists), np.int64)
    row = np.repeat(np.arange(len(lengths)), lengths)
    sums = np.bincount(row, np.asarray(pc.list_flatten(lists), np.float64), minlength=len(lengths))
    return np.where(lengths > 0, sums, np.nan)

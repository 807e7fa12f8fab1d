"""Figures of a round from its committed shards: of each table only the columns that are needed.

A figure that the round says nothing about is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loop.diagnostics.figures import calibration_error, correlation_within, hard_share
from loop.diagnostics.pairs import sides
from loop.diagnostics.sampled import Sampled, read_sampled
from loop.records import ShardRef
from loop.shards import read_arrow

Shards = Callable[[str], list[ShardRef]]
"""The shards of one of the round's tables."""


def measure(shards: Shards, prompts_path: str, policy: str) -> dict[str, float]:
    """Figures by name, see `loop.diagnostics.table`. `policy` is the label of the version with which the round
    began."""
    responses = read_sampled(shards("responses"), prompts_path)
    scores, compared = _scores(shards("verdicts"), responses)
    found = {
        **_of_pairs(shards("examples"), responses),
        **_of_scores(responses, scores, responses.by(policy), compared),
        **_of_comparisons(shards("judgements"), responses),
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def table_of(refs: Iterable[ShardRef], columns: list[str]) -> pa.Table | None:
    """Some columns of all shards of a table; None where there is no shard."""
    tables = [read_arrow(ref, columns) for ref in refs]
    return pa.concat_tables(tables) if tables else None


def _of_pairs(examples: list[ShardRef], responses: Sampled) -> dict[str, float]:
    """Length gap, and how many pairs the policy finds difficult."""
    table = table_of(examples, ["response_ids", "roles", "labels"])
    found = [] if table is None else [sides(*row) for row in zip(*(c.to_pylist() for c in table.columns), strict=True)]
    pairs = [pair for pair in found if pair is not None]
    if not pairs:
        return {}
    at_N2 = np.asarray([[responses.index[one] for one in pair] for pair in pairs])
    chosen_N, rejected_N = responses.tokens_K[at_N2].T
    told = {"length_gap": float(chosen_N.mean() / rejected_N.mean() - 1.0) if rejected_N.mean() else math.nan}
    logprob_N2 = responses.logprob_K[at_N2]
    known_N2 = logprob_N2[~np.isnan(logprob_N2).any(1)]
    if len(known_N2):
        told["hard_pairs"] = hard_share(*known_N2.T)
    return told


def _scores(verdicts: list[ShardRef], responses: Sampled) -> tuple[np.ndarray, bool]:
    """What the judge's verdict says of each response, `[K]`: its score, or how often it beats the others of its group
    on average. Not a number where nothing is known. Also whether it compared."""
    compared = False
    sums_K, counts_K = np.zeros(len(responses.index)), np.zeros(len(responses.index))
    table = table_of(verdicts, ["response_id", "against", "value"])
    if table is not None:
        for one, other, value in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if value is None:
                continue
            sums_K[responses.index[one]] += value
            counts_K[responses.index[one]] += 1
            if other is not None:
                compared = True
                sums_K[responses.index[other]] += 1.0 - value
                counts_K[responses.index[other]] += 1
    return np.where(counts_K > 0, sums_K / np.maximum(counts_K, 1), np.nan), compared


def _of_scores(responses: Sampled, score_K: np.ndarray, own_K: np.ndarray, compared: bool) -> dict[str, float]:
    """Judge and gold on what the round's policy sampled, and what goes with length. Of comparisons inside groups there
    is no mean score: it is one half."""
    told: dict[str, float] = {}
    known_K = own_K & np.isfinite(score_K)
    gold_K = own_K & ~np.isnan(responses.right_K)
    if known_K.any():
        told["length_correlation"] = _with_length(responses, score_K, known_K)
        if not compared:
            told["judge_score"] = float(score_K[known_K].mean())
            told["judge_score_error"] = _error(responses, score_K, known_K)
    if gold_K.any():
        told["length_correlation_gold"] = _with_length(responses, responses.right_K, gold_K)
        told["train_gold"] = float(responses.right_K[gold_K].mean())
        told["train_gold_error"] = _error(responses, responses.right_K, gold_K)
        told["judge_accuracy"] = _accuracy(responses, score_K, gold_K & ~np.isnan(score_K))
    return told


def _with_length(responses: Sampled, values_K: np.ndarray, of_K: np.ndarray) -> float:
    return correlation_within(responses.prompt_K[of_K], responses.tokens_K[of_K], values_K[of_K])


def _error(responses: Sampled, values_K: np.ndarray, of_K: np.ndarray) -> float:
    """Standard error of a mean over responses, of which those to one prompt hang together."""
    _, group_K = np.unique(responses.prompt_K[of_K], return_inverse=True)
    means = np.bincount(group_K, values_K[of_K]) / np.bincount(group_K)
    return float(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else math.nan


def _accuracy(responses: Sampled, score_K: np.ndarray, of_K: np.ndarray) -> float:
    """Share of a right and a wrong answer of one group of which the right one has the higher score; equal ones count
    half."""
    groups: dict[str, list[int]] = {}
    for at in np.flatnonzero(of_K):
        groups.setdefault(str(responses.prompt_K[at]), []).append(int(at))
    right, cases = 0.0, 0
    for members in groups.values():
        for one, other in combinations(members, 2):
            if responses.right_K[one] != responses.right_K[other]:
                better, worse = (one, other) if responses.right_K[one] else (other, one)
                cases += 1
                right += 0.5 + 0.5 * float(np.sign(score_K[better] - score_K[worse]))
    return right / cases if cases else math.nan


def _of_comparisons(judgements: list[ShardRef], responses: Sampled) -> dict[str, float]:
    """How honest the probabilities are that a judge states in comparisons of a right with a wrong answer."""
    table = table_of(judgements, ["response_ids", "status", "value"])
    if table is None:
        return {}
    two = pc.and_(pc.equal(pc.list_value_length(table["response_ids"]), 2), pc.not_equal(table["status"], "failed"))
    table = table.filter(pc.and_(two, pc.is_valid(table["value"])))
    first_N, second_N = (responses.right_of(pc.list_element(table["response_ids"], at).to_pylist()) for at in (0, 1))
    cases_N = first_N + second_N == 1
    if not cases_N.any():
        return {}
    value_N = np.asarray(table["value"].to_pylist(), np.float64)[cases_N]
    right_N = np.where(first_N[cases_N] == 1, value_N, 1.0 - value_N)
    confidence_N = np.maximum(value_N, 1.0 - value_N)
    return {"calibration_error": calibration_error(confidence_N, 0.5 + 0.5 * np.sign(right_N - 0.5))}


def counted(count: Callable[[str, str], float]) -> dict[str, float]:
    """Figures from the sums in the shards' handles: `count` gives a statistic of a table, summed over the round."""

    def share(table: str, part: str, whole: float) -> float:
        return count(table, part) / whole if whole else math.nan

    groups, answers = count("examples", "groups"), count("evaluation_responses", "rows")
    judged = count("evaluation_judgements", "rows") - count("evaluation_judgements", "failed")
    tokens = count("evaluation_responses", "tokens")
    strayed = count("evaluation_responses", "logprob") - count("evaluation_anchors", "logprob")
    without = count("examples", "ties") + count("examples", "unusable")
    found: Mapping[str, float] = {
        "ties": share("examples", "ties", groups),
        "empty_groups": without / groups if groups else math.nan,
        "failed_judgements": share("judgements", "failed", count("judgements", "rows")),
        "truncated": share("responses", "truncated", count("responses", "sampled")),
        "order_flips": share("judgements", "gold_flips", count("judgements", "gold_both")),
        "judge_accuracy": share("judgements", "gold_right", count("judgements", "gold_cases")),
        "answer_length": share("evaluation_responses", "tokens", answers),
        "ended": 1.0 - share("evaluation_responses", "truncated", answers),
        "gold_score": share("evaluation_judgements", "value", judged),
        "kl_initial": strayed / tokens if count("evaluation_anchors", "rows") and tokens else math.nan,
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}

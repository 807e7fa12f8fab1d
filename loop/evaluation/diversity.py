"""How different a policy's answers are from each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean


def distinct_answers(answers: Mapping[str, Sequence[str]]) -> float | None:
    """The share of different answers, by prompt the texts of its answers: among the answers to one prompt (its number
    of different ones over its number, the mean over prompts with several), or, where no prompt has several, among all
    answers to all prompts. 1: no two are the same. None without an answer."""
    several = [some for some in answers.values() if len(some) > 1]
    groups = several or [[one for some in answers.values() for one in some]]
    shares = [len(set(some)) / len(some) for some in groups if some]
    return fmean(shares) if shares else None


def distinct_n(tokens_NT: Iterable[Sequence[int]], n: int) -> float | None:
    """Distinct-n (Li et al. 2016, arXiv:1510.03055): different n-grams of token ids over all n-grams of all answers.
    It falls with the number of answers, so only sets of about equal size compare. None where no answer has n tokens."""
    grams = [tuple(tokens_T[at : at + n]) for tokens_T in tokens_NT for at in range(len(tokens_T) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None

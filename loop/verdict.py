"""What the judgements say of one group."""

from __future__ import annotations

from dataclasses import dataclass

from loop.records import Purpose, Response

BASELINES: tuple[Purpose, ...] = ("baseline", "opponent", "train")
"""Who serves as a group's baseline, the first of them that there is."""


@dataclass(frozen=True, slots=True)
class Group:
    """One prompt with its K responses, in the order of k. A response's purpose tells what it is there for; see
    `loop.verdicts.candidates`."""

    prompt_id: str
    responses_K: tuple[Response, ...]

    @property
    def baseline(self) -> int:
        """Position of the response that the others are compared with: a baseline, else an opponent, else one of the
        policy's own samples, else any; of several the first (smallest k)."""
        responses = self.responses_K
        rank: dict[str, int] = {purpose: at for at, purpose in enumerate(BASELINES)}
        return min(range(len(responses)), key=lambda i: (rank.get(responses[i].purpose, len(rank)), responses[i].k))


@dataclass(frozen=True, slots=True)
class Verdict:
    """A pure aggregate of a group's judgements. None is a hole: a question that failed or was never asked.

    `scores_K`: one number per response, minus infinity for a vetoed one; `preferences_KK[i][j]`: the probability that
    response i beats response j, one half on the diagonal; `objectives_KM[i][m]`: response i under objective m (a
    reward, a constraint or test that is passed with 1 and failed with 0); `answers_K`: the final answer extracted from
    each response.

    Where questions are put more than once, `repeats_KS` and `repeats_KKS` hold what scores and preferences are the mean
    of: the values of the repeats `_S` that came out, in their order; none on the diagonal.
    """

    scores_K: tuple[float | None, ...] | None = None
    preferences_KK: tuple[tuple[float | None, ...], ...] | None = None
    objectives_KM: tuple[tuple[float | None, ...], ...] | None = None
    answers_K: tuple[str | None, ...] | None = None
    repeats_KS: tuple[tuple[float, ...], ...] | None = None
    repeats_KKS: tuple[tuple[tuple[float, ...], ...], ...] | None = None

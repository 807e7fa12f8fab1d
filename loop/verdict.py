"""What the judgements say of one group."""

from __future__ import annotations

from dataclasses import dataclass

from loop.records import Response


@dataclass(frozen=True, slots=True)
class Group:
    """One prompt with its K responses, in the order of k. A response's purpose tells candidates (`train`) from a
    `baseline`, an `opponent` or a `teacher`'s."""

    prompt_id: str
    responses_K: tuple[Response, ...]

    @property
    def baseline(self) -> int:
        """Position of the response that the others are compared with: the one with that purpose, else the first
        sample (smallest k)."""
        responses = self.responses_K
        return min(range(len(responses)), key=lambda i: (responses[i].purpose != "baseline", responses[i].k))


@dataclass(frozen=True, slots=True)
class Verdict:
    """A pure aggregate of a group's judgements. None is a hole: a question that failed or was never asked.

    `scores_K`: one number per response, minus infinity for a vetoed one; `preferences_KK[i][j]`: the probability that
    response i beats response j, one half on the diagonal; `objectives_KM[i][m]`: response i under objective m (a
    reward, a constraint or test that is passed with 1 and failed with 0); `answers_K`: the final answer extracted from
    each response.
    """

    scores_K: tuple[float | None, ...] | None = None
    preferences_KK: tuple[tuple[float | None, ...], ...] | None = None
    objectives_KM: tuple[tuple[float | None, ...], ...] | None = None
    answers_K: tuple[str | None, ...] | None = None

"""How far apart two gold scores are, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

Verdict = Literal["better", "worse", "unclear", "unchanged", "unmeasured"]


class Scored(Protocol):
    """What has a gold score with its 95 % interval, such as a round."""

    @property
    def gold_score(self) -> float | None: ...

    @property
    def gold_low(self) -> float | None: ...

    @property
    def gold_high(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Gain:
    """A difference of two shares with its 95 % interval."""

    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Better or worse only where the interval leaves zero out."""
        return "better" if self.low > 0.0 else "worse" if self.high < 0.0 else "unclear"


def gain(before: Scored, after: Scored) -> Gain | None:
    """The difference of two gold scores; None where one was not measured.

    Newcombe (1998, Statistics in Medicine 17:873), method 10, from the Wilson intervals (l, u) of both shares p:
    d - sqrt((p2 - l2)^2 + (u1 - p1)^2) to d + sqrt((u2 - p2)^2 + (p1 - l1)^2). It takes the two for independent; on the
    same prompts, where scores go together, it is rather too wide than too narrow.
    """
    if before.gold_score is None or before.gold_low is None or before.gold_high is None:
        return None
    if after.gold_score is None or after.gold_low is None or after.gold_high is None:
        return None
    difference = after.gold_score - before.gold_score
    below = math.hypot(after.gold_score - after.gold_low, before.gold_high - before.gold_score)
    above = math.hypot(after.gold_high - after.gold_score, before.gold_score - before.gold_low)
    return Gain(difference, difference - below, difference + above)

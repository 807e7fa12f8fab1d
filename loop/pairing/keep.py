"""Which of many examples are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loop.records import Example


def keep_largest(examples: Sequence[Example], share: float) -> list[Example]:
    """The `share` (0 to 1, rounded up to whole examples) with the largest margins, in the order given. Among equal
    margins the smallest example id decides, so that what is kept does not depend on the order."""
    count = math.ceil(round(share * len(examples), 6))
    ranked = sorted(examples, key=lambda example: (-example.margin, example.example_id))
    kept = {example.example_id for example in ranked[:count]}
    return [example for example in examples if example.example_id in kept]

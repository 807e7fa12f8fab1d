"""Golden rounds of the sketches. Log-ratios of a to h to the first anchor: 2, -2, 1, -3, 0.5, -4, 3, 0.5."""

from __future__ import annotations

from math import exp

from tests.loop.golden.formulas import dpo, information_gain, searched, sigmoid, soft
from tests.loop.golden.kit import INITIAL, PREVIOUS, SUMS, Expected, Round, Told

REVISIONS = ("chosen_given_rejected", "rejected_given_rejected", "rejected_given_chosen", "chosen_given_chosen")

GAIN = information_gain(sigmoid(2.0), sigmoid(0.5))
CERTAIN = 1 - 1 / (9 * (1 - GAIN) + 1)

# A prior is exp(log-prob / tokens^1.25). The second visit goes to g again and makes its two children.
PRIOR = {letter: exp(SUMS[letter][0] / SUMS[letter][3] ** 1.25) for letter in "ghce"}
Q, VISITS = searched(
    {
        "g": ("", 0.6, PRIOR["g"]),
        "h": ("", 0.5, PRIOR["h"]),
        "c": ("g", 0.9, PRIOR["c"]),
        "e": ("g", 0.4, PRIOR["e"]),
    },
    64,
)
SURE = VISITS["g"] / (VISITS["g"] + VISITS["h"])
SURE_BELOW = VISITS["c"] / (VISITS["c"] + VISITS["e"])

SKETCH: dict[str, Round] = {
    # With P = 1: improver (0.1 * (1 + 3) - 1/2)^2 and (0.1 * (0.5 + 4) + 1/2)^2, robust (0.05 * (4 + 1 - 0.5) - 1/2)^2.
    "srpo": Round(
        group={
            "a": Told(purpose="chosen"),
            "b": Told(purpose="rejected"),
            **{letter: Told(purpose="revision") for letter in "cdef"},
        },
        examples=(
            Expected(
                "abcdef",
                0.75 * (0.1**2 + 0.95**2) / 2 + 0.25 * 0.275**2,
                roles=("chosen", "rejected", *REVISIONS),
            ),
        ),
        anchors=(INITIAL,),
    ),
    # Ten answers of the judge, five of each kind; the NLL is 8 nats over 4 tokens.
    "upo": Round(
        group={"a": Told(score=(2.0, 0.5)), "b": Told(score=0.0)},
        examples=(Expected("ab", soft(0.1, 2 + 2, CERTAIN) + 8 / 4, margin=1.25, gain=GAIN),),
        anchors=(PREVIOUS,),
    ),
    # Votes of five: a fails, b passes; c and d refine a; e refines c and passes. The NLL is 5 nats over 2 tokens.
    "spar": Round(
        group={
            "a": Told(score=(0.0, 0.0, 0.0, 1.0, 0.0)),
            "b": Told(score=1.0),
            "c": Told(purpose="node", parent="a", score=(0.0, 1.0, 0.0, 1.0, 0.0)),
            "d": Told(purpose="node", parent="a", score=0.0),
            "e": Told(purpose="node", parent="c", score=(1.0, 1.0, 0.0, 1.0, 1.0)),
        },
        examples=(Expected("ea", dpo(0.1, 0.5 - 2) + 0.1 * 5 / 2, margin=0.6),),
        anchors=(PREVIOUS,),
    ),
    "mcts_dpo": Round(
        group={
            "g": Told(purpose="node", number=0, score=0.6),
            "h": Told(purpose="node", number=1, score=0.5),
            "c": Told(purpose="node", number=16, parent="g", score=0.9),
            "e": Told(purpose="node", number=17, parent="g", score=0.4),
        },
        examples=(
            Expected("gh", soft(0.1, 3 - 0.5, SURE), SURE, Q["g"] - Q["h"]),
            Expected("ce", soft(0.1, 1 - 0.5, SURE_BELOW), SURE_BELOW, Q["c"] - Q["e"]),
        ),
        anchors=(INITIAL,),
    ),
    # The last test, which nobody passes, does not count.
    "dstc": Round(
        group={letter: Told() for letter in "abcd"},
        passed={"a": (1, 1, 1, 0), "b": (1, 0, 1, 0), "c": (0, 0, 1, 0), "d": (0, 0, 0, 0)},
        examples=(Expected("ad", dpo(0.1, 2 + 3), margin=1.0),),
        anchors=(INITIAL,),
    ),
}

"""Golden rounds of the family. Log-ratios of a to h to the first anchor: 2, -2, 1, -3, 0.5, -4, 3, 0.5."""

from __future__ import annotations

from math import exp

from tests.loop.golden.core import FRESH
from tests.loop.golden.formulas import dpo, each_side, inpo, orpo, sigmoid, simpo, soft
from tests.loop.golden.kit import INITIAL, MAGNET, PREVIOUS, Expected, Round, Told

# Win rates of b and c where the skew-symmetric scores are 1 (a over b), -1 (a over c) and 2 (b over c).
RATE_B = (sigmoid(-1) + 0.5 + sigmoid(2)) / 3
RATE_C = (sigmoid(1) + sigmoid(-2) + 0.5) / 3

# Fifty margins whose ranks 5 and 6, from 0, average 0.
MARGINS = [-1.0] * 5 + [-0.1, 0.1] + [1.0] * 43

FAMILY: dict[str, Round] = {
    # The NLL is 8 nats over 4 tokens.
    "iterative_dpo_nll": Round(
        group={"a": Told(score=1.5), "b": Told(score=-0.5), "c": Told(score=0.3), "d": Told(score=0.3)},
        examples=(Expected("ab", dpo(0.1, 2 + 2) + 8 / 4, margin=2.0),),
        anchors=(PREVIOUS,),
    ),
    # Skew-symmetric scores whose row means are 0, 1/3 and -1/3.
    "gpo": Round(
        group={"a": Told(), "b": Told(), "c": Told()},
        beats={"ab": sigmoid(1), "ac": sigmoid(-1), "bc": sigmoid(2)},
        examples=(
            Expected("bc", each_side(-2, 1, 1 / 3, -1 / 3), sigmoid(2), RATE_B - RATE_C, labels=(1 / 3, -1 / 3)),
        ),
        anchors=(PREVIOUS,),
    ),
    # Margins of log-probs: policy -11 + 6, magnet -9 + 7, previous -10.5 + 5.
    "mpo_magnetic": Round(
        group={letter: Told(score=score) for letter, score in zip("abcd", (0.3, 1.2, -0.5, 0.9), strict=True)},
        examples=(Expected("bc", inpo(-5, -2, -5.5), sigmoid(1.7), sigmoid(1.7) - 0.5),),
        anchors=(MAGNET, PREVIOUS),
    ),
    # z = -0.2 is not above the percentile, 0: smoothed by 0.1.
    "spa": Round(
        group={"c": Told(score=2.0), "g": Told(score=-3.0)},
        examples=(Expected("cg", soft(0.1, 1 - 3, 0.9), margin=5.0),),
        anchors=(PREVIOUS,),
        state={f"margin_{number:02}": margin for number, margin in enumerate(MARGINS)},
    ),
    # Fewer than eight are all accepted; neighbours by id.
    "rso": Round(
        group={letter: Told(score=score) for letter, score in zip("abcf", (1.0, 0.5, -1.0, 0.0), strict=True)},
        examples=(
            Expected("ab", dpo(0.05, 2 + 2), margin=0.5),
            Expected("fc", dpo(0.05, -4 - 1), margin=1.0),
        ),
        anchors=(INITIAL,),
    ),
    "drift": Round(
        group={"a": Told(), "b": Told(purpose="rejected")},
        examples=(Expected("aba", dpo(0.1, 2 + 2), roles=FRESH),),
        anchors=(PREVIOUS,),
    ),
    # The first of equal bests; the NLL is 11 nats over 2 tokens.
    "onerec_ipa": Round(
        group={letter: Told(score=score) for letter, score in zip("abcd", (0.2, 0.9, 0.1, 0.9), strict=True)},
        examples=(Expected("bc", dpo(0.1, -2 - 1) + 11 / 2, margin=0.8),),
        anchors=(PREVIOUS,),
    ),
    # The second round is the second stage, whose anchor is the model of the first.
    "curry_dpo": Round(
        number=2,
        group={letter: Told(score=score) for letter, score in zip("abcd", (5, 4, 3, 2), strict=True)},
        examples=(Expected("ac", dpo(0.1, 2 - 1), margin=2, stage=1),),
        anchors=(PREVIOUS,),
    ),
    # Log-probs per token: c -6 / 3, g -7 / 4.
    "simpo_online": Round(
        group={"a": Told(score=0.5), "c": Told(score=1.0), "g": Told(score=0.0)},
        examples=(Expected("cg", simpo(-2.0, -1.75), margin=1.0),),
    ),
    "orpo_online": Round(
        group={"c": Told(score=1.0), "g": Told(score=0.0)},
        examples=(Expected("cg", orpo(-2.0, -1.75), margin=1.0),),
    ),
    "simper": Round(
        group={"a": Told(score=0.5), "c": Told(score=1.0), "g": Told(score=0.0)},
        examples=(Expected("cg", exp(-1.75) - exp(-2.0), margin=1.0),),
    ),
    # lambda 1e-4 times the log-ratio 1 of the policy's own c.
    "hypo": Round(
        group={"c": Told(), "a": Told(purpose="chosen"), "b": Told(purpose="rejected")},
        examples=(Expected("abc", dpo(0.1, 2 + 2) + 1e-4 * 1, roles=FRESH),),
        anchors=(INITIAL,),
    ),
    "sft": Round(
        group={"a": Told(purpose="chosen")},
        examples=(Expected("a", 8 / 4, labels=(1.0,)),),
    ),
}

"""Golden rounds of the core recipes. Log-ratios of a to h to the first anchor: 2, -2, 1, -3, 0.5, -4, 3, 0.5."""

from __future__ import annotations

from tests.loop.golden.formulas import dpo, each_side, inpo, sigmoid, soft, squared
from tests.loop.golden.kit import INITIAL, PREVIOUS, Expected, Round, Told

OPTIMISM = ("chosen", "rejected", "explored")
FRESH = ("chosen", "rejected", "on_policy")

# SPPO's win rates of scores 1, 0, -1, 2, 0.5, itself included.
BEST = (sigmoid(1) + sigmoid(2) + sigmoid(3) + 0.5 + sigmoid(1.5)) / 5  # 0.776401
WORST = (sigmoid(-2) + sigmoid(-1) + 0.5 + sigmoid(-3) + sigmoid(-1.5)) / 5  # 0.223599

CORE: dict[str, Round] = {
    # Strengths 0.5 (the baseline's own), 0.8, 0.3, 0.6 against a, the first sample; sigmoid of differences of logits.
    "osp": Round(
        group={"a": Told(), "b": Told(), "c": Told(), "d": Told()},
        beats={"ba": 0.8, "ca": 0.3, "da": 0.6},
        examples=(
            Expected("bd", soft(0.1, -2 + 3, 8 / 11), 8 / 11, 0.2),
            Expected("ba", soft(0.1, -2 - 2, 0.8), 0.8, 0.3),
            Expected("bc", soft(0.1, -2 - 1, 28 / 31), 28 / 31, 0.5),
            Expected("da", soft(0.1, -3 - 2, 0.6), 0.6, 0.1),
            Expected("dc", soft(0.1, -3 - 1, 7 / 9), 7 / 9, 0.3),
            Expected("ac", soft(0.1, 2 - 1, 0.7), 0.7, 0.2),
        ),
        anchors=(INITIAL,),
    ),
    # Win rates against the others: a (0.9 + 0.3) / 2, b (0.1 + 0.4) / 2, c (0.7 + 0.6) / 2.
    "dno": Round(
        group={"a": Told(), "b": Told(), "c": Told(purpose="teacher")},
        beats={"ab": 0.9, "ac": 0.3, "bc": 0.4},
        examples=(
            Expected("ca", soft(0.1, 1 - 2, sigmoid(0.05)), sigmoid(0.05), 0.05 * 2 / 3),
            Expected("cb", soft(0.1, 1 + 2, sigmoid(0.4)), sigmoid(0.4), 0.4 * 2 / 3),
            Expected("ab", soft(0.1, 2 + 2, sigmoid(0.35)), sigmoid(0.35), 0.35 * 2 / 3),
        ),
        anchors=(PREVIOUS,),
    ),
    # Positives reach 5. The teacher's f leads c by 1 only, a lead that is enough for the policy's own a over c.
    "dno_prct": Round(
        group={
            **{letter: Told(score=score) for letter, score in zip("abcde", (5, 3, 4, 6, 2), strict=True)},
            "f": Told(purpose="teacher", score=5),
        },
        examples=(
            Expected("ab", dpo(0.1, 2 + 2), margin=2),
            Expected("ac", dpo(0.1, 2 - 1), margin=1),
            Expected("ae", dpo(0.1, 2 - 0.5), margin=3),
            Expected("da", dpo(0.1, -3 - 2), margin=1),
            Expected("db", dpo(0.1, -3 + 2), margin=3),
            Expected("dc", dpo(0.1, -3 - 1), margin=2),
            Expected("de", dpo(0.1, -3 - 0.5), margin=4),
            Expected("df", dpo(0.1, -3 + 4), margin=1),
            Expected("fb", dpo(0.1, -4 + 2), margin=2),
            Expected("fe", dpo(0.1, -4 - 0.5), margin=3),
        ),
        anchors=(PREVIOUS,),
    ),
    # e wins all matches and g none. Margins of log-probs: policy -5 + 7, initial -5.5 + 10, previous -6 + 7.5.
    "inpo": Round(
        group={
            letter: Told(score=score)
            for letter, score in zip("abcdefgh", (0.3, 1.2, -0.5, 0.9, 2.0, 0.1, -1.1, 0.4), strict=True)
        },
        examples=(Expected("eg", inpo(2, 4.5, 1.5), sigmoid(3.1), sigmoid(3.1) - 0.5),),
        anchors=(INITIAL, PREVIOUS),
    ),
    # Means of three: 4.5, 2, 4.5, 1.25; the first of equal bests. One score alone would choose c.
    "self_rewarding": Round(
        group={
            "a": Told(score=(4.0, 5.0, 4.5)),
            "b": Told(score=2.0),
            "c": Told(score=4.5),
            "d": Told(score=(1.0, 1.0, 1.75)),
        },
        examples=(Expected("ad", dpo(0.1, 2 + 3), margin=3.25),),
        anchors=(PREVIOUS,),
    ),
    # Bands from 4.69 and to 2.21: g is the shortest above, f the longest below; its eleven scores average 1.9. Pairs of
    # judgements: `judgements_test.py`.
    "meta_rewarding": Round(
        group={
            "a": Told(score=5.0, length=900),
            "b": Told(score=4.8, length=500),
            "c": Told(score=4.2, length=300),
            "d": Told(score=3.0, length=700),
            "e": Told(score=2.0, length=650),
            "f": Told(score=(0.0, *[2.09] * 10), length=1200),
            "g": Told(score=4.95, length=450),
        },
        examples=(Expected("gf", dpo(0.1, 3 + 4), margin=3.05),),
        anchors=(PREVIOUS,),
    ),
    "iterative_dpo": Round(
        group={"a": Told(score=1.5), "b": Told(score=-0.5), "c": Told(score=0.3), "d": Told(score=0.3)},
        examples=(Expected("ab", dpo(0.1, 2 + 2), margin=2.0),),
        anchors=(PREVIOUS,),
    ),
    # Win rates 0.65 and 0.35, both orders averaged.
    "online_dpo": Round(
        group={"a": Told(), "b": Told()},
        beats={"ab": 0.8},
        examples=(Expected("ab", dpo(0.1, 2 + 2), margin=0.3),),
        anchors=(INITIAL,),
    ),
    "sppo": Round(
        group={letter: Told(score=score) for letter, score in zip("abcde", (1, 0, -1, 2, 0.5), strict=True)},
        examples=(
            Expected("dc", each_side(-3, 1, BEST - 0.5, WORST - 0.5), sigmoid(3), BEST - WORST, labels=(BEST, WORST)),
        ),
        anchors=(PREVIOUS,),
    ),
    "spin": Round(
        group={"a": Told(), "b": Told(purpose="chosen")},
        examples=(Expected("baa", dpo(0.1, -2 - 2), roles=FRESH),),
        anchors=(PREVIOUS,),
    ),
    # -(P - 1/2 - beta * rho) * lp.
    "nash_md": Round(
        group={"a": Told(), "b": Told(purpose="opponent")},
        beats={"ab": 0.8},
        examples=(Expected("a", -(0.8 - 0.5 - 0.1 * 2) * -8, labels=(0.8,)),),
        anchors=(INITIAL,),
        others=(("r0", "0.875 r2 + 0.125 r0", "0.875 r3 + 0.125 r0"),),
    ),
    # Opponents are sampled from the policy that looked ahead: with which the round before ended, not with which this
    # one begins.
    "egpo": Round(
        group={"a": Told(), "b": Told(), "g": Told(purpose="opponent")},
        beats={"ag": 0.7, "bg": 0.4},
        examples=(Expected("ab", squared(2 + 2, (0.7 - 0.4) / 0.1), 0.65, 0.3),),
        begins=("r0", "r2", "r2"),
        anchors=(INITIAL,),
        others=(("r0", "r2", "r3"),),
    ),
    "online_ipo": Round(
        group={"a": Told(), "b": Told()},
        beats={"ab": 0.7},
        examples=(Expected("ab", squared(2 + 2, (0.7 - 0.5) / 0.1), 0.7, 0.2),),
        anchors=(INITIAL,),
    ),
    # Plus alpha times the log-prob of the initial policy's sample, which won here and stays the one to leave.
    "xpo": Round(
        group={"a": Told(), "b": Told(purpose="explored")},
        beats={"ba": 0.8},
        examples=(Expected("bab", dpo(0.1, -2 - 2) + 1e-5 * -11, margin=0.3, roles=OPTIMISM),),
        anchors=(INITIAL,),
        others=(INITIAL,),
    ),
    # All ten draws are the one pair there is; the NLL is 8 nats over 4 tokens.
    "iterative_rpo": Round(
        group={"a": Told(score=1.0), "b": Told(score=0.0)},
        examples=(Expected("ab", dpo(0.1, 2 + 2) + 8 / 4, margin=1.0),),
        anchors=(PREVIOUS,),
    ),
    # b is wrong, d was cut, e is a once more.
    "rejection_sampling_sft": Round(
        group={
            "a": Told(score=1.0),
            "b": Told(score=0.0),
            "d": Told(score=1.0, cut=True),
            "e": Told(score=1.0, same_as="a", sums="a"),
            "g": Told(score=1.0),
        },
        examples=(Expected("a", 8 / 4, labels=(1.0,)), Expected("g", 7 / 4, labels=(1.0,))),
    ),
}

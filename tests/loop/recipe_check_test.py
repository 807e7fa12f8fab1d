"""Recipes whose components do not fit are refused while composing, with a sentence that names both."""

from __future__ import annotations

import pytest

from loop.composition import compose
from loop.losses import ROWS
from loop.pairing import RULES
from loop.recipe_check import recipe_problems

PREFERENCES = ("algorithm.plan.name=all_pairs",)


def problems(*overrides: str) -> list[str]:
    return list(recipe_problems(compose(["experiment=demo", "algorithm=iterative_dpo", *overrides])))


def test_the_recipe_itself_fits() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["algorithm.loss={beta: 0.05}"],
            "algorithm.loss: {'beta': 0.05} has no name, as in {name: NAME, OPTION: VALUE}",
        ),
        (["algorithm.pairing.name=minimax"], "pairing minimax reads objectives, which no judge gives yet"),
        (["algorithm.loss.name=dpoo"], "algorithm.loss: there is no loss named 'dpoo'; did you mean dpo"),
        (["algorithm.loss.gamma=1"], "algorithm.loss: loss dpo has no option 'gamma'; it has beta,"),
        (["algorithm.loss.beta=yes"], "algorithm.loss: loss dpo: beta=yes must be a number"),
        (["algorithm.pairing.name=bestworst"], "algorithm.pairing: there is no pairing rule named 'bestworst'"),
        (["algorithm.pairing.link=logit"], "algorithm.pairing: pairing rule best_worst has no option 'link'"),
        (["algorithm.pairing.name=ranked"], "pairing ranked needs preferences; plan pointwise gives scores"),
        (["algorithm.plan.name=tournament"], "pairing best_worst needs scores; plan tournament gives preferences"),
        (
            ["algorithm.plan.name=against_baseline", "algorithm.pairing.name=tournament"],
            "pairing tournament needs the plan tournament or all_pairs, not against_baseline",
        ),
        (["algorithm.pairing.name=listed"], "loss dpo learns from pairs, and pairing listed gives lists"),
        (
            ["algorithm.loss.name=sppo"],
            "loss sppo needs a win rate of each response, and pairing best_worst gives none",
        ),
        (
            ["algorithm.loss.name=tdpo1"],
            "loss tdpo1 needs the full logits of an anchor, which a run cannot",
        ),
        (["algorithm.loss.name=xpo"], "loss xpo needs responses in the roles explored, which a run cannot give it yet"),
        (["algorithm.loss.name=simpo"], "loss simpo reads 0 of algorithm.anchors, which names 1"),
        (["algorithm.anchors=[{name: magnet, reset: 2}]"], "anchor magnet has no option 'reset'; it has reset_every"),
        (["algorithm.anchors=[ema]"], "anchor ema needs a shadow of the weights, which a run does not keep yet"),
        (["algorithm.anchors=[none]"], "anchor none is no policy: leave it out of algorithm.anchors"),
        (["algorithm.anchors=[random_past]", "export.every=2"], "read from exported checkpoints, so export.every must"),
        (["algorithm.data={name: replay, first: 2}"], "data replay: first=2 must lie in 0 to 1"),
        (["algorithm.data.name=all"], "there is no data named 'all'; there are this_round, accumulate, replay"),
        (["algorithm.start_from=initial"], "with start_from=initial every round learns anew, so a learning rate that"),
        (
            ["algorithm.loss.name=gpo", "algorithm.pairing.name=win_rate_of_scores"],
            "needs a mean skew-symmetric score of",
        ),
        ([*PREFERENCES, "algorithm.pairing.name=unordered"], "pairing unordered gives ties as examples, and loss dpo"),
        (["algorithm.anchors=[initial,initial]", "algorithm.loss.name=inpo"], "names the same anchor twice"),
        (["algorithm.anchors=[previous,initial]", "algorithm.loss.name=inpo"], "algorithm.anchors=[initial, previous]"),
        (["algorithm.loss.name=inpo"], "loss inpo reads 2 of algorithm.anchors, which names 1"),
    ],
)
def test_what_does_not_fit_is_one_sentence(overrides: list[str], sentence: str) -> None:
    assert any(sentence in problem for problem in problems(*overrides)), problems(*overrides)


def test_every_loss_and_every_rule_can_be_composed_with_something() -> None:
    """No row of either table is out of reach of a recipe, but for what a run cannot give yet."""
    plan_of = {"scores": "pointwise", "preferences": "all_pairs"}
    for name, row in ROWS.items():
        fits = [rule for rule in RULES.values() if rule.gives == row.kind and rule.reads in plan_of]
        (rule, *_) = [rule for rule in fits if row.needs.labels in ("", rule.labels)] or fits
        plan = rule.plans[0].value if rule.plans else plan_of[rule.reads]
        found = problems(
            f"algorithm.loss.name={name}",
            f"algorithm.plan.name={plan}",
            f"algorithm.pairing.name={rule.name}",
            f"algorithm.anchors={['initial', 'previous'][: row.needs.anchors]}",
        )
        unmet = {"nash_md": ("needs a win rate",), "d2o": ("needs whether it is one of", "cannot give it yet")}
        allowed = unmet.get(name, ("cannot give it yet",))
        assert all(any(words in problem for words in allowed) for problem in found), (name, found)
    for name, rule in RULES.items():
        if rule.reads in plan_of:
            plan = rule.plans[0].value if rule.plans else plan_of[rule.reads]
            fit = [row for row in ROWS.values() if row.kind == rule.gives and row.needs.labels in ("", rule.labels)]
            (loss, *_) = [row for row in fit if row.needs.strengths] if rule.ties else fit
            found = problems(
                f"algorithm.pairing.name={name}", f"algorithm.plan.name={plan}", f"algorithm.loss.name={loss.name}"
            )
            assert not any("pairing" in problem for problem in found), (name, found)

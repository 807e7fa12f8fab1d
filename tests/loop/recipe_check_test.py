"""Recipes whose components do not fit are refused while composing, with a sentence that names both."""

from __future__ import annotations

import pytest

from loop.composition import compose
from loop.losses import ROWS, named_loss
from loop.pairing import RULES, Rule
from loop.recipe import lacking
from loop.recipe_check import recipe_problems
from loop.validation import required_columns

PREFERENCES = ("algorithm.plan.name=all_pairs",)
PLAN_OF = {"scores": "pointwise", "preferences": "all_pairs", "nothing": "none"}


def problems(*overrides: str) -> list[str]:
    chosen = [] if any(one.startswith("algorithm=") for one in overrides) else ["algorithm=iterative_dpo"]
    return list(recipe_problems(compose(["experiment=demo", *chosen, *overrides])))


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
        (
            ["algorithm.loss.name=xpo"],
            "loss xpo needs responses in the roles explored, and pairing best_worst gives none",
        ),
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
        (
            ["algorithm.plan.name=tournament", "algorithm.pairing.name=tournament", "algorithm.control=shuffled"],
            "plan tournament asks about other matches in each",
        ),
        (["algorithm.loss.name=inpo"], "loss inpo reads 2 of algorithm.anchors, which names 1"),
    ],
)
def test_what_does_not_fit_is_one_sentence(overrides: list[str], sentence: str) -> None:
    assert any(sentence in problem for problem in problems(*overrides)), problems(*overrides)


def composed_with(rule: Rule, *overrides: str) -> list[str]:
    """The problems of a recipe with a rule and what that asks for."""
    plan = rule.plans[0].value if rule.plans else PLAN_OF[rule.reads]
    others = [
        *(["{policy: initial, as: explored}"] if "explored" in rule.roles else []),
        *(["{column: completion, as: chosen}"] if rule.reads == "nothing" else []),
    ]
    return problems(
        f"algorithm.pairing.name={rule.name}",
        f"algorithm.plan.name={plan}",
        f"algorithm.plan.repeats={1 + rule.gains}",
        f"algorithm.others=[{', '.join(others)}]",
        *overrides,
    )


def test_every_loss_can_be_composed_with_a_rule() -> None:
    """No row is out of reach of a recipe, but for what a run cannot give yet."""
    for name, row in ROWS.items():
        loss = named_loss(name)
        fits = [rule for rule in RULES.values() if rule.gives == row.kind and rule.reads in PLAN_OF]
        fits = [rule for rule in fits if {*loss.needs.others} <= {*rule.roles}] or fits
        fits = [rule for rule in fits if rule.gains or not loss.needs.certainty] or fits
        (rule, *_) = [rule for rule in fits if loss.needs.labels in ("", rule.labels)] or fits
        anchors = f"algorithm.anchors={['initial', 'previous'][: loss.needs.anchors]}"
        found = composed_with(rule, f"algorithm.loss.name={name}", anchors)
        assert bool(found) == bool(lacking(loss)), (name, rule.name, found)
        assert not found or any("cannot give it yet" in problem for problem in found), (name, found)


def test_every_rule_can_be_composed_with_a_loss() -> None:
    for name, rule in RULES.items():
        if rule.reads in PLAN_OF:
            fit = [row for row in ROWS.values() if row.kind == rule.gives and row.needs.labels in ("", rule.labels)]
            (loss, *_) = [row for row in fit if row.needs.strengths] if rule.ties else fit
            found = composed_with(rule, f"algorithm.loss.name={loss.name}")
            assert not any("pairing" in problem for problem in found), (name, found)


EGPO = ("algorithm=egpo", "rounds=4")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["algorithm.sampler.name=sample"], "there is no sampler named 'sample'; did you mean samples"),
        (["algorithm.sampler.heat=2"], "sampler samples has no option 'heat'"),
        (["algorithm.sampler.temperature=0"], "sampler samples: temperature=0 must lie between 0.001 and 100"),
        (["algorithm.sampler.first=1"], "sampler samples has no option 'first'"),
        (["algorithm.others=[initial]"], "algorithm.others: initial must name a policy or a column, as in"),
        (["algorithm.others=[{policy: first, as: opponent}]"], "there is no policy 'first'; there are initial,"),
        (["algorithm.others=[{column: title, as: chosen}]"], "there is no column 'title'; there are answer,"),
        (["algorithm.others=[{policy: initial, as: judge}]"], "as=judge of policy initial must be one of baseline,"),
        (["algorithm.others=[{policy: initial, as: opponent, n: 2}]"], "policy initial has no option 'n'"),
        (
            ["algorithm.others=[{policy: mixture, as: opponent}, {policy: mixture, as: baseline}]"],
            "algorithm.others names more than one mixture",
        ),
        (
            ["algorithm.others=[{policy: magnet, as: opponent}]", "export.every=2"],
            "others of policy magnet are sampled from exported checkpoints, so export.every must be 1",
        ),
        (
            ["algorithm.others=[{column: completion, as: chosen}]"],
            "others as chosen are sides of given pairs, and pairing best_worst reads scores; pairing given takes them",
        ),
        (["algorithm.plan.name=none"], "pairing best_worst needs scores; plan none gives nothing"),
        (
            ["algorithm.pairing.name=given", "algorithm.others=[{column: completion, as: chosen}]"],
            "pairing given needs no judge: algorithm.plan.name=none; plan pointwise gives scores",
        ),
        (
            ["algorithm.pairing.name=given", "algorithm.plan.name=none"],
            "pairing given takes what is given, and algorithm.others names nothing as chosen or rejected",
        ),
        (
            ["algorithm.pairing.name=explored"],
            "pairing explored sets samples against explored ones, and algorithm.others names none, as in",
        ),
        (["algorithm.k=1"], "pairing best_worst needs two responses, and algorithm.k=1 without algorithm.others gives"),
        (
            ["algorithm.sampler.name=refinement", *PREFERENCES],
            "sampler refinement goes on from scores, which the plan pointwise gives, not all_pairs",
        ),
        (["algorithm.pairing.name=halves_by_certainty"], "compares repeats: algorithm.plan.repeats must be above 1"),
        (["algorithm.loss.name=upo"], "needs how certain each pair is, and pairing best_worst does not tell"),
        (
            ["algorithm=mcts_dpo", "algorithm.pairing.iterations=8"],
            "pairing.iterations=8 must be that of the sampler, 64",
        ),
        (
            ["algorithm=spar", "algorithm.sampler.pass_score=0.7"],
            "pairing.pass_score=0.5 must be that of the sampler, 0.7",
        ),
        (
            ["algorithm=mcts_dpo", "rollout.stop=[x]"],
            "sampler tree ends its steps at line ends, so rollout.stop must be",
        ),
        (["algorithm=mcts_dpo", "algorithm.sampler.step_tokens=8"], "may take 16 tokens"),
        (["algorithm=spar", "algorithm.control=shuffled"], "goes on from the judge's scores, which algorithm.control="),
        (
            ["algorithm=spin", "algorithm.control=shuffled"],
            "nobody is asked, so algorithm.control=shuffled would change",
        ),
        (["algorithm=srpo", "algorithm.others=[]"], "sampler revision needs others as chosen and as rejected"),
        (
            ["algorithm=hypo", "algorithm.sampler.name=none"],
            "its loss needs samples of the policy, and sampler none has",
        ),
        (["algorithm.others=[{policy: initial, as: opponent, draws: 9}]"], "policy initial has no option 'draws'"),
        (["algorithm.others=[{policy: mixture, as: opponent, weight: heavy}]"], "weight=heavy must be a number"),
        (["algorithm.others=[{policy: mixture, as: opponent, weight: 2}]"], "weight=2 must lie in 0 to 1"),
        (["algorithm.others=[{policy: magnet, as: opponent, reset_every: 0}]"], "reset_every=0 must be a whole number"),
        ([*EGPO, "rounds=3"], "every other round looks ahead, and the last one must not: rounds=3 must be even"),
        ([*EGPO, "checkpoint.every=2"], "a round goes back to where another began, so checkpoint.every must be 1"),
        ([*EGPO, "export.every=2"], "a round goes back to where another began, so export.every must be 1"),
        ([*EGPO, "checkpoint.keep=1"], "so checkpoint.keep must be above 1"),
        ([*EGPO, "algorithm.start_from=initial"], "a round begins where another began, not at start_from=initial"),
    ],
)
def test_groups_that_do_not_fit_are_one_sentence(overrides: list[str], sentence: str) -> None:
    assert any(sentence in problem for problem in problems(*overrides)), problems(*overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        EGPO,
        ("algorithm=xpo",),
        ("algorithm=spin",),
        ("algorithm=nash_md",),
        ("algorithm.k=1", "algorithm.others=[{policy: initial, as: explored}]"),
        ("algorithm.k=1", "algorithm.pairing.name=keep_correct", "algorithm.loss.name=sft", "algorithm.anchors=[]"),
        ("algorithm.k=1", "algorithm.sampler.name=refinement", "algorithm.pairing.name=refined"),
    ],
)
def test_groups_that_fit_are_let_through(overrides: tuple[str, ...]) -> None:
    assert problems(*overrides) == []


def test_columns_that_a_recipe_names_are_required_and_a_judge_that_is_not_asked_requires_none() -> None:
    def columns(*overrides: str) -> list[str]:
        return required_columns(compose(["experiment=demo", *overrides]))

    teacher = "algorithm.others=[{column: teacher, as: teacher}, {policy: initial, as: opponent}]"
    assert columns() == ["answer"] and columns(teacher) == ["answer", "teacher"]
    assert columns("algorithm=spin") == ["completion"]

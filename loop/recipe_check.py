"""Whether the components of a recipe fit together: what one gives, another must need."""

from __future__ import annotations

from collections.abc import Iterator

from loop.config import AlgorithmConfig, Control, Plan, RunConfig, Schedule, Span, StartFrom
from loop.errors import Refused
from loop.judge_pairs_check import judge_pair_problems
from loop.losses import Loss
from loop.pairing import Rule
from loop.recipe import anchors_of, data_of, lacking, loss_of, rule_of
from loop.sampling_check import PAST, sampling_problems

KINDS = {"pair": "pairs", "list": "lists", "single": "single responses"}
"""What kinds of examples are called."""


LABELS = {
    "": "none",
    "win_rate": "a win rate",
    "skew": "a mean skew-symmetric score",
    "score": "a score",
    "relevance": "a relevance between 0 and 1",
    "desirable": "whether it is desirable",
    "kept": "the same label",
    "sample": "whether it is one of the policy's samples",
}
"""What kinds of labels are called."""


def recipe_problems(config: RunConfig) -> Iterator[str]:
    """Every problem of the recipe itself, one sentence each."""
    recipe = config.algorithm
    try:
        loss = loss_of(recipe)
    except Refused as refused:
        yield f"algorithm.loss: {refused}"
        return
    try:
        rule, _ = rule_of(recipe)
    except Refused as refused:
        yield f"algorithm.pairing: {refused}"
        return
    if missing := lacking(loss):
        yield (
            f"algorithm={recipe.name}: loss {loss.row.name} needs {' and '.join(missing)}, "
            "which a run cannot give it yet"
        )
    yield from _plan_and_rule(recipe, rule)
    yield from _rule_and_loss(recipe, rule, loss)
    try:
        yield from sampling_problems(config, rule)
    except Refused as refused:
        yield f"algorithm={recipe.name}: {refused}"
    yield from _anchors(config, loss)
    yield from _schedule(config)
    yield from judge_pair_problems(config, loss)


def _plan_and_rule(recipe: AlgorithmConfig, rule: Rule) -> Iterator[str]:
    plan = recipe.plan.name
    gives = {Plan.pointwise: "scores", Plan.none: "nothing"}.get(plan, "preferences")
    if recipe.control is Control.shuffled and plan is Plan.none:
        yield f"algorithm={recipe.name}: nobody is asked, so algorithm.control=shuffled would change nothing"
    if recipe.control is Control.shuffled and plan is Plan.tournament:
        yield (
            f"algorithm={recipe.name}: with algorithm.control=shuffled a group is given another group's verdict, "
            "and plan tournament asks about other matches in each: take algorithm.plan.name=all_pairs"
        )
    if rule.reads in ("objectives", "answers"):
        yield f"algorithm={recipe.name}: pairing {rule.name} reads {rule.reads}, which no judge gives yet"
    elif rule.reads == "scores" and plan is Plan.all_pairs:
        pass  # win rates serve
    elif rule.reads != gives:
        needs = "no judge: algorithm.plan.name=none" if rule.reads == "nothing" else rule.reads
        yield f"algorithm={recipe.name}: pairing {rule.name} needs {needs}; plan {plan.value} gives {gives}"
    elif rule.plans and plan not in rule.plans:
        suit = " or ".join(one.value for one in rule.plans)
        yield f"algorithm={recipe.name}: pairing {rule.name} needs the plan {suit}, not {plan.value}"


def _rule_and_loss(recipe: AlgorithmConfig, rule: Rule, loss: Loss) -> Iterator[str]:
    if rule.gives != loss.row.kind:
        yield (
            f"algorithm={recipe.name}: loss {loss.row.name} learns from {KINDS[loss.row.kind]}, "
            f"and pairing {rule.name} gives {KINDS[rule.gives]}"
        )
    elif loss.needs.labels and rule.labels != loss.needs.labels:
        yield (
            f"algorithm={recipe.name}: loss {loss.row.name} needs {LABELS[loss.needs.labels]} of each response, "
            f"and pairing {rule.name} gives {LABELS[rule.labels]}"
        )
    if missing := [role for role in loss.needs.others if role not in rule.roles]:
        yield (
            f"algorithm={recipe.name}: loss {loss.row.name} needs responses in the roles {', '.join(missing)}, "
            f"and pairing {rule.name} gives {', '.join(rule.roles) or 'none'}"
        )
    if loss.needs.certainty and not rule.gains:
        yield (
            f"algorithm={recipe.name}: loss {loss.row.name} needs how certain each pair is, "
            f"and pairing {rule.name} does not tell"
        )
    if rule.gains and recipe.plan.repeats < 2:
        yield f"algorithm={recipe.name}: pairing {rule.name} compares repeats: algorithm.plan.repeats must be above 1"
    if rule.ties and not (loss.needs.strengths or loss.needs.margins):
        yield (
            f"algorithm={recipe.name}: pairing {rule.name} gives ties as examples, and loss {loss.row.name} "
            "would take them for hard labels: it reads neither strengths nor margins"
        )


def _schedule(config: RunConfig) -> Iterator[str]:
    recipe, learner = config.algorithm, config.learner
    anew, decays = recipe.start_from is StartFrom.initial, learner.schedule is not Schedule.constant
    if anew and decays and recipe.lr_schedule is Span.whole_run and config.rounds > 1:
        yield (
            f"algorithm={recipe.name}: with start_from=initial every round learns anew, so a learning rate that "
            "falls over the whole run leaves the last rounds untrained: algorithm.lr_schedule=per_round"
        )


def _anchors(config: RunConfig, loss: Loss) -> Iterator[str]:
    recipe = config.algorithm
    try:
        kinds = [kind for kind, _ in anchors_of(recipe)]
        data_of(recipe)
    except Refused as refused:
        yield f"algorithm={recipe.name}: {refused}"
        return
    if loss.needs.anchors != len(kinds):
        yield (
            f"algorithm={recipe.name}: loss {loss.row.name} reads {loss.needs.anchors} of algorithm.anchors, "
            f"which names {len(kinds)}"
        )
    if len(set(map(str, recipe.anchors))) < len(recipe.anchors):
        yield f"algorithm={recipe.name}: algorithm.anchors names the same anchor twice"
    elif kinds[:1] == ["previous"] and len(kinds) == 2:
        turned = f"[{', '.join(kinds[::-1])}]"
        yield f"algorithm={recipe.name}: of two anchors the previous policy is the second: algorithm.anchors={turned}"
    for kind in kinds:
        if kind == "none":
            yield f"algorithm={recipe.name}: anchor none is no policy: leave it out of algorithm.anchors"
        if kind == "ema":
            yield f"algorithm={recipe.name}: anchor ema needs a shadow of the weights, which a run does not keep yet"
        if kind in PAST and config.export.every != 1:
            yield f"algorithm={recipe.name}: anchor {kind} is read from exported checkpoints, so export.every must be 1"

"""Whether a run's judge writes judgements that the recipe can pair."""

from __future__ import annotations

from collections.abc import Iterator

from loop.config import Plan, RunConfig
from loop.errors import Refused
from loop.judge_config import JudgeConfig, ReadBy, SelfConfig
from loop.judge_schedule import judge_of
from loop.judges.template import load_template
from loop.losses import Loss


def judge_pair_problems(config: RunConfig, loss: Loss) -> Iterator[str]:
    """What does not fit, one sentence each; nothing where no round makes pairs of judgements."""
    recipe, needs = config.algorithm, loss.needs
    last = min(recipe.judge_pairs.rounds, config.rounds)
    judges = [judge_of(config, round) for round in range(1, last + 1)]
    out = "algorithm.judge_pairs.rounds=0 leaves them out"
    for judge in {id(one): one for one in judges}.values():
        said = f"algorithm={recipe.name} with judge={judge.name}: pairs of judgements"
        if not _writes(judge):
            yield (
                f"{said} are made of what the policy writes as judge (judge=self judge.read=text "
                f"judge.temperature=0.8); {out}"
            )
        elif isinstance(judge, SelfConfig):
            yield from (f"{said} {problem}; {out}" for problem in _templates(judge, recipe.plan.name))
    if judges and recipe.plan.repeats < 2:
        yield f"algorithm={recipe.name}: pairs of judgements need algorithm.plan.repeats above 1; {out}"
    if judges and (loss.row.kind != "pair" or needs.labels or needs.others or needs.certainty):
        yield f"algorithm={recipe.name}: loss {loss.row.name} does not learn from pairs of judgements alone; {out}"
    if judges and recipe.keep < 1:
        yield f"algorithm={recipe.name}: algorithm.keep would set margins of judgements against those of answers; {out}"


def _writes(judge: JudgeConfig) -> bool:
    """Whether a judge is the current policy, and writes differently each time that it is asked."""
    if not isinstance(judge, SelfConfig):
        return False
    return judge.model == "current" and judge.read is ReadBy.text and judge.temperature > 0


def _templates(judge: SelfConfig, plan: Plan) -> Iterator[str]:
    try:
        asks = load_template(judge.template).asks
        compares = judge.meta_template is not None and load_template(judge.meta_template).asks == "preference"
    except Refused as error:
        yield f"are asked for by templates: {error}"
        return
    if not compares:
        yield "are compared by judge.meta_template, a template that asks for a preference"
    if plan is not Plan.pointwise and asks == "score":
        yield f"need judgements of two answers, and plan {plan.value} compares by the scores of each"

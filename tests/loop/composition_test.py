from __future__ import annotations

from pathlib import Path

import pytest

from loop.composition import CONF, GROUPS, compose, options, override
from loop.config import Plan, RunConfig
from loop.errors import Refused
from loop.judges.capabilities import capabilities_of
from loop.recipe_check import recipe_problems
from loop.validation import problems, validate
from tests.loop.golden.kit import recipe

DEMO = "experiment=demo"


def refusal(*overrides: str) -> str:
    with pytest.raises(Refused) as refused:
        validate(compose(overrides))
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


def test_the_demo_composes() -> None:
    config = validate(compose([DEMO, "rounds=7"]))
    assert isinstance(config, RunConfig)
    assert (config.rounds, config.model.name, config.judge.name) == (7, "tiny", "verifier")


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_is_accepted(experiment: str) -> None:
    assert validate(compose([f"experiment={experiment}"])).name == experiment


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("learner.lrr=1", "learner.lr?"),
        ("algorithm.kk=3", "algorithm.k"),
        ("expriment=demo", "experiment"),
        ("+foo=1", "+foo"),
        ("algorithm=osb", "osp"),
        ("judge=nobody", "known: ensemble, implicit"),
        ("experiment=nope", "experiment=nope"),
        ("learner.lr=abc", "learner.lr"),
        ("model.dtype=fp16", "float32, bfloat16"),
        ("rollout.temperature=null", "rollout.temperature"),
        ("prompts.sources=[{pth: a.jsonl}]", "did you mean path?"),
        ("learner.lr=nan", "learner.lr=nan"),
        ("rollout.kv_cache_gb=0", "rollout.kv_cache_gb"),
        ("rounds", "rounds"),
        ("rounds=0", "rounds=0"),
        ("algorithm.k=1", "algorithm.k=1"),
        ("algorithm.loss.name=dqo", "dpo"),
        ("learner.zero_stage=4", "zero_stage"),
        ("rollout.max_tokens=256", "rollout.max_context=256"),
        ("rollout.top_p=1.5", "rollout.top_p"),
        ("prompts.sources=[]", "prompts.sources"),
        ("algorithm.pairing.name=ranked", "ranked"),
    ],
)
def test_a_bad_override_is_refused_by_name(given: str, said: str) -> None:
    assert said in refusal(DEMO, given)


def test_what_is_missing_is_named() -> None:
    assert "model.path" in refusal()


@pytest.mark.parametrize("judge", options("judge"))
def test_every_recipe_takes_a_judge_or_is_refused_by_both_names(judge: str) -> None:
    weak = ["judge.weak=MODEL"] if judge == "implicit" else []
    config = compose([DEMO, f"judge={judge}", *weak])
    can = capabilities_of(config.judge)
    for algorithm in options("algorithm"):
        config.algorithm = recipe(algorithm)
        own = list(recipe_problems(config))  # of the recipe, whatever the judge
        found = [problem for problem in problems(config) if problem not in own]
        fits = can.pointwise or config.algorithm.plan.name is not Plan.pointwise
        assert len(found) == (0 if fits else 1), found
        assert all(f"algorithm={algorithm}" in one and f"judge={judge}" in one for one in found)


def test_every_file_of_the_control_panel_composes() -> None:
    composed = 0
    for file in sorted(file for group in GROUPS for file in (CONF / group).glob("*.yaml")):
        config = compose([DEMO, f"{file.parent.name}={file.stem}", "model.path=x"])
        assert isinstance(config, RunConfig)
        composed += 1
    assert composed >= 12


def test_names_in_recipes_are_those_of_their_files() -> None:
    for group in ("algorithm", "judge", "experiment"):
        for name in options(group):
            config = compose([DEMO, f"{group}={name}"] if group != "experiment" else [f"{group}={name}"])
            assert (config.name if group == "experiment" else getattr(config, group).name) == name


def test_a_missing_judge_template_is_refused(tmp_path: Path) -> None:
    said = refusal("experiment=osp_smoke", f"judge.template={tmp_path}/none.txt")
    assert "judge.template" in said and "none.txt" in said


def test_a_component_is_replaced_whole_or_given_single_options() -> None:
    whole = compose([DEMO, "algorithm.loss={name: inpo, eta: 0.1}", "algorithm.loss.share=0.01"]).algorithm
    assert whole.loss == {"name": "inpo", "eta": 0.1, "share": 0.01}
    assert whole.pairing == {"name": "best_worst"}
    other = compose([DEMO, "algorithm.loss.gamma=1.0", "algorithm.loss.name=simpo"]).algorithm.loss
    assert other == {"name": "simpo", "gamma": 1.0}, "another loss does not take over options"
    single = compose([DEMO, "algorithm.loss.nll_sum=0.1"]).algorithm.loss
    assert single["nll_sum"] == 0.1 and single["name"] == "dpo"
    with pytest.raises(Refused, match="no such key"):
        compose([DEMO, "algorithm.losses.name=dpo"])


def test_a_judge_of_evaluation_stays_as_it_is_and_training_does_not_ask_it() -> None:
    assert "+judge@evaluate.judge=verifier adds" in refusal(DEMO, "evaluate.judge.rule=math")
    assert "changes with the policy" in refusal(DEMO, "+judge@evaluate.judge=self")
    assert "would each start vLLM" in refusal(DEMO, "judge=reward_model", "+judge@evaluate.judge=llm")
    same = [DEMO, "algorithm=osp", "judge=pair_model", "judge.backend=transformers"]
    same += ["+judge@evaluate.judge=pair_model", "evaluate.judge.backend=transformers"]
    assert "what a policy learns from cannot tell" in refusal(*same)
    other = ["+judge@evaluate.judge=reward_model", "evaluate.judge.backend=transformers"]
    assert validate(compose([DEMO, *other])).evaluate.judge is not None
    assert compose([DEMO, "+judge@evaluate.judge=math"]).evaluate.judge is not None


def test_single_keys_of_a_run_that_goes_on_change_and_dictionaries_are_replaced() -> None:
    config = compose([DEMO])
    assert override(config, ["judge.check.levels.gold=0.5", "judge.replicas=2"]).judge.check.levels == {"gold": 0.5}
    assert override(config, ["judge.check.levels={}"]).judge.check.levels == {}
    assert override(config, ["judge.check.levels={longer: 0.9}"]).judge.check.levels == {"longer": 0.9}

from __future__ import annotations

import pytest

from loop.composition import CONF, compose
from loop.errors import Refused
from loop.judges.capabilities import asks_engines, capabilities_of, examiner_of, is_checked, needs_device
from loop.validation import held_out_columns, problems, required_columns

OSP = "experiment=osp_smoke"
RUBRIC = f"judge.template={CONF / 'templates' / 'additive_rubric.yaml'}"


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["judge=llm", "judge.model=''"], "judge.model is not set: give it as judge.model=MODEL"),
        (["judge=llm", "judge.backend=server"], "judge.server.url is not set"),
        (
            ["judge=llm", "judge.backend=server", "judge.server.url=abc"],
            "judge.server.url must be like https://HOST/v1",
        ),
        (
            ["judge=llm", "judge.backend=server", "judge.server.url=http://h/v1", "judge.server.key_variable=sk-1"],
            "must be the name of an environment variable, not the key itself",
        ),
        (["judge=reward_model", f"judge.model={CONF / 'config.yaml'}"], "must be a folder, or a name on a hub"),
        (["judge=implicit"], "every score would be 0"),
        (["judge=mixture", "judge.passes=nan"], "judge.passes=nan: must be a finite number"),
        (["judge=verifier", "judge.name=a/b"], "judge.name='a/b': must be letters"),
        (["judge=verifier", "judge.from_round=2"], "only judges of later_judges begin in a round"),
        (["judge=mixture", "judge.members.right.max_failed=0.1"], "judge.members.right: check and max_failed are"),
        (["judge=self", "judge.backend=server"], "judge.backend=server: only judge=llm can be asked at a server"),
        (["judge=implicit", "judge.backend=vllm"], "judge=implicit computes on transformers"),
        (["judge=implicit", "judge.model=initial"], "are both initial: every score would be 0"),
        (["judge=llm", "judge.backend=transformers", "judge.read=text"], "on transformers a judge reads probabilities"),
        (["judge=llm", "judge.read=text"], "judge.max_tokens=512 leaves no room for a question"),
        (["judge=llm", "judge.template=none.yaml"], "judge template none.yaml cannot be read"),
        (["judge=pair_model", RUBRIC], "asks for a score, and a preference model compares two responses"),
        (["judge=ensemble", "judge.members.first.backend=vllm"], "would each start vLLM in one process"),
        (["judge=ensemble", "~judge@judge.members.second"], "an ensemble needs two judges or more"),
        (["judge=mixture", "~judge@judge.members.reward"], "a mixture needs `reward`"),
        (["judge=mixture", "judge@judge.members.right=pair_model"], "a constraint scores single responses"),
        (["judge=majority", "judge.extract=first"], "judge.extract=first: there are"),
        (["judge=mixture", "algorithm.pairing.length_penalty=0.1"], "could lift a response above the"),
        (
            ["judge=ensemble", "judge.disagreement=margin", "algorithm.plan.name=pointwise"],
            "judge.disagreement=margin is of preferences",
        ),
        (["judge=verifier", "judge.rule=regex"], "pattern"),
        (["judge=verifier", "judge.options.pattern=x"], "pattern"),
        (["judge=verifier", "judge.replicas=0"], "judge.replicas=0: must be at least 1"),
        (["judge=verifier", "judge.max_failed=1.5"], "judge.max_failed=1.5: must lie between 0 and 1"),
        (["judge=verifier", "judge.max_failed=nan"], "judge.max_failed=nan"),
        (["judge=llm", "judge.temperature=-1"], "judge.temperature=-1.0: must be at least 0"),
        (["judge=verifier", "judge.check.levels.gould=0.5"], "did you mean gold"),
        (["judge=verifier", "judge.check.file=none.jsonl"], "judge.check.file=none.jsonl: no such file"),
        (["judge=verifier", "judge.thinking_markers=[a]"], "must be an opening and a closing marker"),
        (["+judge@later_judges.next=llm", "later_judges.next.model=''"], "later_judges.next.model is not set"),
        (["+judge@later_judges.next=llm"], "later_judges.next.from_round=1: must be at least 2"),
    ],
)
def test_what_a_judge_cannot_be_is_one_sentence(overrides: list[str], sentence: str) -> None:
    found = list(problems(compose([OSP, *overrides])))
    assert any(sentence in problem for problem in found), found
    assert all("\n" not in problem for problem in found)


def test_a_key_of_another_kind_is_refused_while_composing() -> None:
    with pytest.raises(Refused, match=r"override 'judge\.model': other kinds have this key"):
        compose([OSP, "judge=verifier", "judge.model=x"])


def test_a_judge_that_scores_compares_too_and_one_that_compares_does_not_score() -> None:
    def can(*overrides: str) -> tuple[bool, bool]:
        found = capabilities_of(compose([OSP, *overrides]).judge)
        return found.pointwise, found.needs_reference_answer

    assert can("judge=verifier") == (True, True)
    assert can("judge=reward_model") == (True, False)
    assert can("judge=pair_model") == (False, False)
    assert can("judge=llm") == (False, False)
    assert can("judge=llm", RUBRIC) == (True, False)
    assert can("judge=mixture") == (True, True)
    assert can("judge=mixture", "judge@judge.members.reward=pair_model") == (False, True)
    assert can("judge=ensemble") == (False, False)
    assert can("judge=majority") == (True, False)


def test_a_recipe_of_scores_refuses_a_judge_that_compares_unless_every_two_are_compared() -> None:
    (said,) = problems(compose(["experiment=demo", "judge=llm"]))
    assert "algorithm=iterative_dpo_nll with judge=llm" in said and "algorithm.plan.name=all_pairs" in said
    assert list(problems(compose(["experiment=demo", "judge=llm", "algorithm.plan.name=all_pairs"]))) == []


def test_columns_follow_the_judges_and_their_rules() -> None:
    def columns(*overrides: str) -> tuple[list[str], list[str]]:
        config = compose([OSP, *overrides])
        return required_columns(config), held_out_columns(config)

    assert columns("judge=self") == ([], ["answer"])
    assert columns("judge=verifier") == (["answer"], ["answer"])
    assert columns("judge=verifier", "judge.rule=length", "judge.options.max=5") == ([], [])
    assert columns("judge=self", "+judge@later_judges.next=mixture") == (["answer"], ["answer"])
    assert columns("judge=self", "+judge@evaluate.judge=verifier", "evaluate.judge.rule=length") == ([], [])


def test_held_out_answers_are_scored_by_the_runs_own_verifier_unless_another_is_named() -> None:
    assert examiner_of(compose([OSP, "judge=math"])).rule.value == "math"
    assert examiner_of(compose([OSP, "judge=self"])).rule.value == "exact"
    assert examiner_of(compose([OSP, "judge=math", "+judge@evaluate.judge=verifier"])).rule.value == "exact"


def test_a_judge_of_form_is_not_asked_about_bare_answers_unless_pairs_are_given() -> None:
    def checked(*overrides: str) -> bool:
        return is_checked(compose([OSP, *overrides]).judge)

    assert checked("judge=verifier") and checked("judge=math") and checked("judge=self") and checked("judge=mixture")
    assert not checked("judge=verifier", "judge.rule=regex", "judge.options.pattern=x")
    assert not checked("judge=majority") and not checked("judge=self", "judge.check.prompts=0")
    short = ["judge.members.right.rule=length", "judge.members.right.options.max=5"]
    assert not checked("judge=mixture", *short) and checked("judge=mixture", *short, "judge.check.file=pairs.jsonl")


def test_held_out_answers_lose_the_same_thoughts_as_others() -> None:
    assert examiner_of(compose([OSP, 'judge.thinking_markers=["<t>","</t>"]'])).thinking_markers == ["<t>", "</t>"]


def test_who_asks_the_engines_and_who_hosts_a_model() -> None:
    def told(*overrides: str) -> tuple[bool, bool]:
        judge = compose([OSP, *overrides]).judge
        return asks_engines(judge), needs_device(judge)

    assert told("judge=self") == (True, False)
    assert told("judge=self", "judge.model=initial") == (False, True)
    assert told("judge=verifier") == (False, False)
    assert told("judge=reward_model") == (False, True)
    assert told("judge=llm", "judge.backend=server") == (False, False)
    assert told("judge=ensemble", "+judge@judge.members.third=self") == (True, True)

"""Scores of a sequence classifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from actors.judges.reward_model import RewardModel
from actors.judges.vllm_host import VllmClassifier
from loop.errors import Refused
from loop.judge_config import Backend, RewardModelConfig, TooLong
from tests.actors.judges import kit


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return kit.classifier(tmp_path_factory.mktemp("models"), outputs=2)


def judge(model_path: str, **changes: Any) -> RewardModel:
    return RewardModel(kit.hosted(RewardModelConfig, model_path, **changes))


@torch.no_grad()
def logits_of(model_path: str, response: str) -> list[float]:
    turns = [*kit.CONVERSATION, {"role": "assistant", "content": response}]
    tokens_T = kit.demo_tokenizer().apply_chat_template(turns, tokenize=True)["input_ids"]
    model = AutoModelForSequenceClassification.from_pretrained(model_path, dtype=torch.float64)
    logits: list[float] = model(torch.tensor([tokens_T])).logits[0].tolist()
    return logits


@pytest.mark.parametrize("output", [0, 1])
def test_the_score_is_the_models_own_logit(model_path: str, output: int) -> None:
    replies = judge(model_path, output=output).answer([kit.asked(text) for text in kit.RESPONSES], "p")
    for text, reply in zip(kit.RESPONSES, replies, strict=True):
        assert reply.value == pytest.approx(logits_of(model_path, text)[output], abs=1e-4)
        assert (reply.status, reply.cut, json.loads(reply.raw)) == ("decided", 0, {"score": reply.value})
    assert len({reply.value for reply in replies}) == len(replies)


@pytest.mark.engine
def test_both_backends_give_the_same_scores(model_path: str) -> None:
    here = judge(model_path)
    there: RewardModel = kit.on_vllm(RewardModel, kit.hosted(RewardModelConfig, model_path, backend=Backend.vllm))
    assert isinstance(there._classified.classifier, VllmClassifier)
    asked = [kit.asked(text * times) for text in kit.RESPONSES for times in (1, 3)]
    ours, theirs = here.answer(asked, "p"), there.answer(asked, "p")
    assert [reply.value for reply in theirs] == pytest.approx([reply.value for reply in ours], abs=1e-4)
    assert max(reply.value or 0 for reply in ours) > 1  # a sigmoid would show


def test_equal_responses_are_exactly_equal_and_read_once(model_path: str) -> None:
    made = judge(model_path, batch=2)
    texts = ["5", "a longer one", "5", "another, longer still", "5"]
    values = [reply.value for reply in made.answer([kit.asked(text) for text in texts], "p")]
    assert values[0] == values[2] == values[4]
    alone = judge(model_path)
    alone.answer([kit.asked(text) for text in dict.fromkeys(texts)], "p")
    assert made.usage()["prompt_tokens"] == alone.usage()["prompt_tokens"] > 0
    assert (made.usage()["questions"], alone.usage()["questions"]) == (5, 3)


def test_too_long_questions_fail_or_are_cut_and_counted(model_path: str) -> None:
    asked = [kit.asked("5"), kit.asked("x" * 60)]
    refusing = judge(model_path, max_context=80)
    short, long = refusing.answer(asked, "p")
    assert (short.status, long.status, long.value, long.cut) == ("decided", "failed", None, 0)
    usage = refusing.usage()
    assert (usage["questions"], usage["refused"], usage["cut"]) == (2, 1, 0)
    cutting = judge(model_path, max_context=80, too_long=TooLong.cut_end)
    short, long = cutting.answer(asked, "p")
    assert short.cut == 0 and long.cut > 0
    assert long.value == cutting.answer([kit.asked("x" * (60 - long.cut))], "p")[0].value
    usage = cutting.usage()
    assert (usage["questions"], usage["refused"], usage["cut"]) == (3, 0, 1)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_failed(model_path: str, broken: float, monkeypatch: pytest.MonkeyPatch) -> None:
    made = judge(model_path)
    monkeypatch.setattr(made._classified.classifier, "logits", lambda inputs: [[broken, 1.0], [2.0, 1.0]])
    replies = made.answer([kit.asked("a"), kit.asked("b")], "p")
    assert [(reply.status, reply.value) for reply in replies] == [("failed", None), ("decided", 2.0)]


def test_a_conversation_that_the_models_template_refuses_is_failed(tmp_path: Path) -> None:
    path = kit.classifier(tmp_path)
    template = (tmp_path / "chat_template.jinja").read_text()
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    (tmp_path / "chat_template.jinja").write_text(refusing + template)
    turns = [{"role": "system", "content": "Be brief."}, *kit.CONVERSATION]
    failed, decided = judge(path).answer([kit.asked("5", conversation=turns), kit.asked("5")], "p")
    assert failed.status == "failed" and failed.value is None and "no system turn" in failed.raw
    assert decided.status == "decided"


def test_no_questions_are_no_answers(model_path: str) -> None:
    assert judge(model_path).answer([], "p") == []


def test_what_a_reward_model_cannot_be_is_refused(model_path: str) -> None:
    for output in (-1, 2):
        with pytest.raises(Refused, match=rf"judge\.output={output}: .* has outputs 0 to 1"):
            judge(model_path, output=output)
    with pytest.raises(Refused, match=r"take judge\.backend=vllm or transformers"):
        judge(model_path, backend=Backend.server)
    with pytest.raises(ValueError, match="one response at a time"):
        judge(model_path).answer([kit.asked("a", "b")], "p")


def test_the_version_names_model_and_output(model_path: str, tmp_path: Path) -> None:
    first, second = (judge(model_path, output=output).version("r1-s2") for output in (0, 1))
    other = judge(kit.classifier(tmp_path, outputs=2, seed=1)).version("r1-s2")
    assert len({first, second, other}) == 3 and first.startswith("reward_model-")
    assert first == judge(model_path).version("r2-s4")

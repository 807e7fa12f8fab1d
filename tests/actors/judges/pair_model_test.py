"""Pairwise preferences of a classifier and of a language model."""

from __future__ import annotations

import json
from math import exp
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from actors.judges.pair_model import PairModel, Segments, preference_of
from loop.errors import Refused
from loop.judge_config import PairHead, PairModelConfig, TooLong
from loop.judges.splicing import spliced
from loop.judges.template import load_template
from loop.judges.text_judge import TextJudge
from tests.actors.judges import kit

PLAIN = [{"role": "text", "content": "what is two and three"}]
TEMPLATE = """
name: short
version: 1
source: this test
asks: preference
labels: [A, B]
text: "{instruction} A: {answer_a} B: {answer_b}"
"""
SCORING = """
name: points
version: 1
source: this test
asks: score
scores: [1, 2]
text: "{instruction} {answer}"
"""


def judge(model_path: str, **changes: Any) -> PairModel:
    return PairModel(kit.hosted(PairModelConfig, model_path, **changes))


@pytest.mark.parametrize("outputs", [1, 2])
@torch.no_grad()
def test_an_encoder_reads_the_conversation_with_each_response_as_two_segments(tmp_path: Path, outputs: int) -> None:
    path = kit.encoder_classifier(tmp_path, outputs)
    made = judge(path, head=PairHead.classifier, max_context=64)
    (reply,) = made.answer([kit.asked("five", "six or it", conversation=PLAIN)], "p")
    inputs = kit.word_tokenizer()("what is two and three five", "what is two and three six or it", return_tensors="pt")
    logits = AutoModelForSequenceClassification.from_pretrained(path)(**inputs).logits[0].double()
    expected = logits.sigmoid()[0] if outputs == 1 else logits.softmax(-1)[0]
    assert reply.value == pytest.approx(expected.item(), abs=1e-5)
    assert (reply.status, json.loads(reply.raw)) == ("decided", {"first": reply.value})


def test_a_decoder_reads_two_chat_conversations(tmp_path: Path) -> None:
    path = kit.classifier(tmp_path)
    (reply,) = judge(path, head=PairHead.classifier).answer([kit.asked("5", "It is 6.")], "p")
    ids: list[int] = []
    for text in ("5", "It is 6."):
        turns = [*kit.CONVERSATION, {"role": "assistant", "content": text}]
        ids += kit.demo_tokenizer().apply_chat_template(turns, tokenize=True)["input_ids"]
    with torch.no_grad():
        logit = AutoModelForSequenceClassification.from_pretrained(path)(torch.tensor([ids])).logits.item()
    assert reply.value == pytest.approx(1 / (1 + exp(-logit)), abs=1e-5)


def test_a_classifiers_long_pairs_fail_or_are_cut(tmp_path: Path) -> None:
    path = kit.classifier(tmp_path)
    refused, decided = judge(path, head=PairHead.classifier, max_context=100).answer(
        [kit.asked("5" * 40, "6"), kit.asked("5", "6")], "p"
    )
    assert (refused.status, refused.value, decided.status) == ("failed", None, "decided")
    cutting = judge(path, head=PairHead.classifier, max_context=100, too_long=TooLong.cut_start)
    (cut,) = cutting.answer([kit.asked("5" * 40, "6")], "p")
    assert cut.status == "decided" and cut.cut > 0
    assert cutting.usage()["cut"] == 1


def test_logits_become_the_probability_that_the_first_is_better() -> None:
    assert preference_of([2.0]).value == pytest.approx(0.880797)
    assert preference_of([-1000.0]).value == 0.0
    assert preference_of([1.0, 3.0]).value == pytest.approx(0.119203)
    assert (preference_of([0.0]).status, preference_of([4.0, 4.0]).value) == ("undecided", 0.5)
    assert preference_of([4.0, 4.0]).status == "undecided"


def test_a_classifier_that_gives_no_number_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = judge(kit.encoder_classifier(tmp_path, 2), head=PairHead.classifier, max_context=64)
    assert isinstance(made._judge, Segments)
    monkeypatch.setattr(made._judge._classified.classifier, "logits", lambda inputs: [[float("nan"), 1.0]])
    (reply,) = made.answer([kit.asked("five", "six", conversation=PLAIN)], "p")
    assert (reply.status, reply.value) == ("failed", None)


def test_a_language_model_prefers_by_its_label_tokens(tmp_path: Path) -> None:
    path = kit.language_model(tmp_path / "model", initializer_range=0.02)
    (tmp_path / "short.yaml").write_text(TEMPLATE)
    made = judge(path, template=str(tmp_path / "short.yaml"))
    question = kit.asked("5", "6")
    (reply,) = made.answer([question], "p")
    # labels hold almost nothing of a random model's probability
    assert reply.status == "failed"
    assert isinstance(made._judge, TextJudge)
    made._judge.config.min_mass = 0.0
    (reply,) = made.answer([question], "p")
    tokenizer, template = kit.demo_tokenizer(), load_template(str(tmp_path / "short.yaml"))
    shown = spliced(tokenizer, template, question, 256, TooLong.refuse)
    assert shown is not None
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(path)(torch.tensor([shown.tokens_T])).logits[0, -1].double()
    first, second = tokenizer.convert_tokens_to_ids(["A", "B"])
    assert reply.value == pytest.approx((logits[first] - logits[second]).sigmoid().item(), abs=1e-5)
    assert made.usage()["questions"] == 2


def test_the_version_names_the_model_and_the_template(tmp_path: Path) -> None:
    path = kit.language_model(tmp_path / "model")
    for name, text in (("a", TEMPLATE), ("b", TEMPLATE.replace("A:", "One:"))):
        (tmp_path / f"{name}.yaml").write_text(text)
    versions = {judge(path, template=str(tmp_path / f"{name}.yaml")).version("p") for name in "ab"}
    assert len(versions) == 2 and all(version.startswith("pair_model-") for version in versions)


def test_what_a_pair_model_cannot_be_is_refused(tmp_path: Path) -> None:
    path = kit.language_model(tmp_path / "model")
    with pytest.raises(Refused, match=r"judge\.head=tokens needs judge\.template"):
        judge(path)
    (tmp_path / "points.yaml").write_text(SCORING)
    with pytest.raises(Refused, match="asks for a score, and a pair model gives preferences"):
        judge(path, template=str(tmp_path / "points.yaml"))
    three = kit.classifier(tmp_path / "three", outputs=3)
    with pytest.raises(Refused, match="has 3 outputs, and a pair model has one or two"):
        judge(three, head=PairHead.classifier)
    one = judge(kit.classifier(tmp_path / "one"), head=PairHead.classifier)
    with pytest.raises(ValueError, match="compares two responses"):
        one.answer([kit.asked("a")], "p")

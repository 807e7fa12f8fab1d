"""A judge's model on transformers against a plain forward pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from actors.judges.models import ModelInput
from actors.judges.transformers_host import TransformersClassifier, TransformersSpeaker
from loop.errors import Refused
from loop.judge_config import HostedConfig
from loop.judges.speaking import Writing
from tests.actors.conftest import save_tiny_gemma
from tests.actors.judges import kit

INPUTS = [[(7 * at + start) % 250 + 3 for at in range(length)] for start, length in enumerate((5, 90, 1, 17, 44, 17))]


@pytest.fixture(scope="module", params=["linear", "capped"])
def model_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("models")
    if request.param == "linear":
        return kit.language_model(path)
    path_of_capped = save_tiny_gemma(path)
    model = AutoModelForCausalLM.from_pretrained(path_of_capped, final_logit_softcapping=0.5)
    return kit.saved(model, path / "capped")


@torch.no_grad()
def expected(path: str, tokens_T: list[int]) -> torch.Tensor:
    """Log-probs `[T, V]` in float64 after each position."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    logprobs: torch.Tensor = model(torch.tensor([tokens_T])).logits[0].double().log_softmax(-1)
    return logprobs


@pytest.mark.filterwarnings("ignore:.*changes its logits")
def test_next_logprobs_are_those_of_a_forward_pass(model_path: str) -> None:
    speaker = TransformersSpeaker(kit.hosted(HostedConfig, model_path))
    found = speaker.next_logprobs(INPUTS, [70, 3, 2], "p")
    for tokens_T, row in zip(INPUTS, found, strict=True):
        assert row == pytest.approx(expected(model_path, tokens_T)[-1, [70, 3, 2]].tolist(), abs=1e-4)
    assert speaker.usage()["prompt_tokens"] == sum(map(len, INPUTS))


@pytest.mark.filterwarnings("ignore:.*changes its logits")
def test_text_logprobs_begin_where_they_are_asked_for(model_path: str) -> None:
    speaker = TransformersSpeaker(kit.hosted(HostedConfig, model_path))
    inputs_T, starts = [INPUTS[1], INPUTS[0], INPUTS[3]], [30, 1, 17]
    found = speaker.text_logprobs(inputs_T, starts)
    assert [len(row) for row in found] == [60, 4, 0]
    for tokens_T, start, row in zip(inputs_T, starts, found, strict=True):
        rows = expected(model_path, tokens_T)[start - 1 : -1]
        direct = [rows[at, token].item() for at, token in enumerate(tokens_T[start:])]
        assert row == pytest.approx(direct, abs=1e-4)


def test_log_probs_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    path = kit.language_model(tmp_path)
    together = TransformersSpeaker(kit.hosted(HostedConfig, path, batch=6))
    alone = TransformersSpeaker(kit.hosted(HostedConfig, path, batch=1))
    for one, other in zip(
        together.next_logprobs(INPUTS, [70, 3], "p"), alone.next_logprobs(INPUTS, [70, 3], "p"), strict=True
    ):
        assert one == pytest.approx(other, abs=1e-5)
    starts = [1] * len(INPUTS)
    for row, single in zip(together.text_logprobs(INPUTS, starts), alone.text_logprobs(INPUTS, starts), strict=True):
        assert row == pytest.approx(single, abs=1e-5)


def test_an_input_that_fills_the_context_has_no_next_token(tmp_path: Path) -> None:
    speaker = TransformersSpeaker(kit.hosted(HostedConfig, kit.language_model(tmp_path), max_context=17))
    found = speaker.next_logprobs(INPUTS, [70], "p")
    assert [row is None for row in found] == [False, True, False, True, True, True]
    assert speaker.next_logprobs([], [70], "p") == []


def test_text_is_not_written(tmp_path: Path) -> None:
    speaker = TransformersSpeaker(kit.hosted(HostedConfig, kit.language_model(tmp_path)))
    with pytest.raises(Refused, match=r"judge\.read=probabilities or backend=vllm"):
        speaker.write([[5]], [0], Writing(0.0, 4), "p")


@torch.no_grad()
def direct(path: str, tokens_T: list[int], **inputs: Any) -> list[float]:
    model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32)
    logits: list[float] = model(torch.tensor([tokens_T]), **inputs).logits[0].tolist()
    return logits


@pytest.mark.parametrize("pad", [0, None, 2])
def test_logits_are_those_of_each_input_alone(tmp_path: Path, pad: int | None) -> None:
    path = kit.classifier(tmp_path, outputs=3, pad_token_id=pad)
    classifier = TransformersClassifier(kit.hosted(HostedConfig, path, batch=4))
    # 2 is the end token, and 0 and 1 might be taken for padding
    inputs = [[*tokens_T, end] for end, tokens_T in zip((2, 0, 1, 2, 0, 9), INPUTS, strict=True)]
    found = classifier.logits([ModelInput(tokens_T) for tokens_T in inputs])
    assert classifier.outputs == 3
    for tokens_T, row in zip(inputs, found, strict=True):
        assert row == pytest.approx(direct(path, tokens_T), abs=1e-5)


def test_an_encoder_is_told_where_the_second_segment_begins(tmp_path: Path) -> None:
    path = kit.encoder_classifier(tmp_path)
    classifier = TransformersClassifier(kit.hosted(HostedConfig, path, max_context=128))
    inputs = [ModelInput([2, 9, 3, 8, 3], 3), ModelInput([2, 9, 9, 9, 3, 8, 3], 5)]
    found = classifier.logits(inputs)
    for one, row in zip(inputs, found, strict=True):
        types = torch.tensor([[int(at >= (one.second or 0)) for at in range(len(one.tokens_T))]])
        assert row == pytest.approx(direct(path, one.tokens_T, token_type_ids=types), abs=1e-5)
        assert row != pytest.approx(direct(path, one.tokens_T), abs=1e-5)

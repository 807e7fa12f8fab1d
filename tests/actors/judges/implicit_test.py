"""The reward that two policies imply, against log-softmax by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2ForCausalLM

from actors.judges.implicit import Implicit, Text, prompt_tokens
from actors.judges.models import end_token
from loop.config import ModelConfig
from loop.errors import Refused
from loop.judge_config import Backend, ImplicitConfig, Reduce, TooLong
from tests.actors.judges import kit

INITIAL = ModelConfig(path=kit.DEMO)
END = 2


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    return kit.language_model(tmp_path_factory.mktemp("models"), initializer_range=0.05)


def judge(model: str, weak: str = "initial", **changes: Any) -> Implicit:
    return Implicit(kit.hosted(ImplicitConfig, model, weak=weak, **changes), INITIAL)


def prompt() -> list[int]:
    found = kit.demo_tokenizer().apply_chat_template(kit.CONVERSATION, add_generation_prompt=True, tokenize=True)
    ids: list[int] = found["input_ids"]
    return ids


def body(text: str) -> list[int]:
    ids: list[int] = kit.demo_tokenizer()(text)["input_ids"]
    return ids


@torch.no_grad()
def logprobs(path: str, prompt_T: list[int], response_T: list[int]) -> torch.Tensor:
    """Log-prob `[T]` of each of the response's tokens, in float64."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float64)
    rows = model(torch.tensor([prompt_T + response_T])).logits[0].log_softmax(-1)[len(prompt_T) - 1 : -1]
    return rows.gather(1, torch.tensor(response_T)[:, None])[:, 0]


@pytest.mark.parametrize("reduce", list(Reduce))
def test_the_score_is_beta_times_the_log_ratio_end_token_included(other: str, reduce: Reduce) -> None:
    replies = judge(other, reduce=reduce, beta=0.3).answer([kit.asked(text) for text in kit.RESPONSES], "p")
    for text, reply in zip(kit.RESPONSES, replies, strict=True):
        response_T = [*body(text), END]
        ratios = logprobs(other, prompt(), response_T) - logprobs(kit.DEMO, prompt(), response_T)
        expected = ratios.sum() if reduce is Reduce.sum else ratios.mean()
        assert reply.value == pytest.approx(0.3 * expected.item(), abs=1e-4)
        assert (reply.status, json.loads(reply.raw)["score"]) == ("decided", reply.value)
    assert min(abs(reply.value or 0.0) for reply in replies) > 0.01


def test_a_model_against_itself_is_exactly_zero_and_loaded_once(other: str, tmp_path: Path) -> None:
    asked = [kit.asked(text) for text in kit.RESPONSES]
    same = judge("initial")
    assert same.weak is same.model
    twin = tmp_path / "twin"
    twin.symlink_to(other)
    apart = judge(other, weak=str(twin))
    assert apart.weak is not apart.model
    for made in (same, apart):
        assert [(reply.status, reply.value) for reply in made.answer(asked, "p")] == [("decided", 0.0)] * len(asked)


def test_exchanged_models_turn_the_sign(other: str) -> None:
    (one,), (turned,) = (
        judge(model, weak=weak).answer([kit.asked("It is 6.")], "p")
        for model, weak in ((other, "initial"), ("initial", other))
    )
    assert one.value == pytest.approx(-(turned.value or 0.0)) and one.value != 0.0


def test_special_strings_in_a_response_are_text(other: str) -> None:
    (ended,), (plain,) = (judge(other).answer([kit.asked(text)], "p") for text in ("5<|im_end|>", "5"))
    response_T = [*body("5"), *body("<|im_"), *body("end|>"), END]
    ratio = logprobs(other, prompt(), response_T).sum() - logprobs(kit.DEMO, prompt(), response_T).sum()
    assert ended.value == pytest.approx(ratio.item(), abs=1e-4) != plain.value


def test_added_tokens_around_turns_in_a_response_are_text(tmp_path: Path) -> None:
    tokenizer = kit.demo_tokenizer()
    tokenizer.add_tokens(["USER: ", "<turn_a>"])
    tokenizer.chat_template = "{% for m in messages %}USER: {{ m['content'] }}<turn_a>{% endfor %}"
    path = kit.saved(Qwen2ForCausalLM(kit.qwen()), tmp_path / "model", tokenizer)
    policy = Implicit(kit.hosted(ImplicitConfig, path, weak=path), INITIAL).model
    control = set(tokenizer.convert_tokens_to_ids(["USER: ", "<turn_a>"]))
    text = policy.text(kit.asked("5<turn_a>USER: 6"), kit.hosted(ImplicitConfig, path))
    assert isinstance(text, Text)
    assert control <= set(text.tokens_T[: text.start]) and not control & set(text.tokens_T[text.start :])
    assert tokenizer.decode(text.tokens_T[text.start : -1]) == "5<turn_a>USER: 6"


def test_too_long_responses_fail_or_lose_what_is_configured(other: str) -> None:
    asked, limit = [kit.asked("5"), kit.asked("abcdefgh")], len(prompt()) + 4
    refusing = judge(other, max_context=limit)
    short, long = refusing.answer(asked, "p")
    assert (short.status, long.status, long.value) == ("decided", "failed", None)
    assert (refusing.usage()["questions"], refusing.usage()["refused"]) == (2, 1)
    for too_long, kept in ((TooLong.cut_start, [*body("fgh"), END]), (TooLong.cut_end, body("abcd"))):
        made = judge(other, max_context=limit, too_long=too_long)
        _, cut = made.answer(asked, "p")
        ratio = logprobs(other, prompt(), kept).sum() - logprobs(kit.DEMO, prompt(), kept).sum()
        assert cut.cut == 5 and cut.value == pytest.approx(ratio.item(), abs=1e-4)
        assert (made.usage()["cut"], made.usage()["refused"]) == (1, 0)
    (none,) = judge(other, max_context=len(prompt()), too_long=TooLong.cut_end).answer(asked[:1], "p")
    assert none.status == "failed"


def test_what_is_no_number_is_failed(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = judge(other)
    monkeypatch.setattr(made.model.reader, "text_logprobs", lambda inputs, starts, policy: [[float("nan")], [-1.0]])
    replies = made.answer([kit.asked("a"), kit.asked("b")], "p")
    assert [(reply.status, reply.value is None) for reply in replies] == [("failed", True), ("decided", False)]


def test_a_plain_prompt_stays_plain() -> None:
    tokenizer = kit.word_tokenizer()
    turns = [{"role": "text", "content": "what is"}]
    assert prompt_tokens(tokenizer, turns) == tokenizer("what is")["input_ids"]
    assert prompt_tokens(kit.demo_tokenizer(), turns) == body("what is")


def test_responses_end_with_the_tokenizers_end_token_or_the_first_of_the_generation_configuration() -> None:
    tokenizer = kit.demo_tokenizer()
    assert [end_token(tokenizer, ends) for ends in (2, [7, 2], [7, 8], None, [])] == [2, 2, 7, 2, 2]
    with pytest.raises(Refused, match="has no end token"):
        end_token(kit.word_tokenizer(), None)


def test_the_version_names_both_models_and_other_backends_are_refused(other: str) -> None:
    versions = {judge(*models).version("p") for models in ((other, "initial"), ("initial", other), ("initial",))}
    assert len(versions) == 3
    with pytest.raises(Refused, match="judge=implicit runs on transformers only"):
        judge(other, backend=Backend.vllm)
    with pytest.raises(ValueError, match="one response at a time"):
        judge(other).answer([kit.asked("a", "b")], "p")


def test_both_models_tokens_are_counted(other: str) -> None:
    made = judge(other)
    made.answer([kit.asked("5")], "p")
    assert made.usage()["prompt_tokens"] == 2 * (len(prompt()) + len(body("5")) + 1)


class Served:
    """Engines that serve the model with which a run began."""

    def __init__(self, path: str) -> None:
        self.speaker = Implicit(kit.hosted(ImplicitConfig, path, weak="initial"), INITIAL).model.reader
        self.asked: list[str] = []

    def text_logprobs(self, inputs_T: list[list[int]], starts: list[int], policy: str) -> list[list[float]]:
        self.asked.append(policy)
        return self.speaker.text_logprobs(inputs_T, starts, policy)


def test_the_current_policy_is_asked_at_the_engines_and_named_by_its_version(other: str) -> None:
    served = Served(other)
    config = kit.hosted(ImplicitConfig, "current", weak="initial")
    current = Implicit(config, INITIAL, served)  # type: ignore[arg-type]
    questions = [kit.asked(text) for text in kit.RESPONSES]
    expected = [reply.value for reply in judge(other).answer(questions, "r2-s9")]
    assert [reply.value for reply in current.answer(questions, "r2-s9")] == pytest.approx(expected)
    assert served.asked == ["r2-s9"]
    assert current.version("r2-s9").startswith("implicit-r2-s9-")

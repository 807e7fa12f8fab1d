"""The vLLM adapter against a Hugging Face forward pass of the same weights."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from actors.engine import Engine
from actors.engine_settings import ROLLOUTS_NEED, require_api
from loop.config import Template
from loop.errors import InfrastructureFailed, Refused
from loop.sampling import Sampling

if TYPE_CHECKING:
    from tests.actors.conftest import Learner

CONTEXT = 128
PLAIN = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_tokens=0, max_tokens=24, stop=())
PROMPT = [5, 6, 7, 8]

pytestmark = pytest.mark.engine


def sampling(**changes: object) -> Sampling:
    fields = {name: getattr(PLAIN, name) for name in PLAIN.__slots__}
    return Sampling(**{**fields, **changes})  # type: ignore[arg-type]


def test_logprobs_are_raw_whatever_the_sampling(loaded_engine: Engine, learner: Learner) -> None:
    answers = loaded_engine.generate(
        [PROMPT] * 8, range(8), [sampling(temperature=0.7, top_p=0.9, top_k=50, min_tokens=3)] * 8
    )
    for answer in answers:
        rows = learner.logprobs(PROMPT + answer.tokens_T)[len(PROMPT) - 1 : -1]
        expected = [rows[at, token].item() for at, token in enumerate(answer.tokens_T)]
        assert answer.logprobs_T == pytest.approx(expected, abs=1e-4)


def test_seeds_decide_alone(loaded_engine: Engine) -> None:
    seeds = [2**62 + at for at in range(6)]
    together = loaded_engine.generate([PROMPT] * 6, seeds, [PLAIN] * 6)
    alone = loaded_engine.generate([PROMPT], seeds[3:4], [PLAIN])
    assert alone[0].tokens_T == together[3].tokens_T
    # the generation configuration's temperature 0.01 and top_k 1 would make all of them alike
    assert len({tuple(answer.tokens_T) for answer in together}) == 6


def test_end_tokens_come_from_the_generation_configuration(loaded_engine: Engine) -> None:
    end_ids = set(loaded_engine.llm.get_tokenizer().convert_tokens_to_ids(["<|im_end|>", "~"]))
    answers = loaded_engine.generate([PROMPT] * 192, range(192), [PLAIN] * 192)
    ended = [answer for answer in answers if answer.finish_reason == "end"]
    assert {answer.tokens_T[-1] for answer in ended} == end_ids
    assert not any(end_ids & set(answer.tokens_T[:-1]) for answer in answers)
    assert not any("~" in answer.text or "<|im_end|>" in answer.text for answer in answers)
    assert all(len(answer.tokens_T) == 24 for answer in answers if answer.finish_reason == "length")


def test_min_tokens_holds_end_tokens_back(loaded_engine: Engine) -> None:
    answers = loaded_engine.generate([PROMPT] * 64, range(64), [sampling(min_tokens=20)] * 64)
    assert min(len(answer.tokens_T) for answer in answers) >= 20


def test_a_stop_string_ends_an_answer_and_stays_out_of_its_text(loaded_engine: Engine) -> None:
    answers = loaded_engine.generate([PROMPT] * 64, range(64), [sampling(stop=("a", "e"))] * 64)
    stopped = [answer for answer in answers if answer.finish_reason == "stop"]
    assert stopped and not any("a" in answer.text or "e" in answer.text for answer in stopped)


def test_answers_are_cut_to_the_context_and_full_prompts_refused(loaded_engine: Engine) -> None:
    prompt = [9] * (CONTEXT - 2)
    (answer,) = loaded_engine.generate([prompt], [0], [sampling(min_tokens=5)])
    assert (len(answer.tokens_T), answer.finish_reason) == (2, "length")
    with pytest.raises(Refused, match=f"prompt of {CONTEXT} tokens leaves no room"):
        loaded_engine.generate([[9] * CONTEXT], [0], [PLAIN])


def test_text_logprobs_are_teacher_forced(loaded_engine: Engine, learner: Learner) -> None:
    texts = [[(7 * at + start) % 250 + 3 for at in range(60)] for start in range(3)]
    loaded_engine.prime(texts)
    expected = learner.reading(texts).forced
    for ours, theirs in zip(loaded_engine.text_logprobs(texts), expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_choice_logprobs_are_not_renormalised(loaded_engine: Engine, learner: Learner) -> None:
    prefixes, choices = [PROMPT, [9] * 70], [300, 4, 17]
    for prefix, ours in zip(prefixes, loaded_engine.choice_logprobs(prefixes, choices), strict=True):
        assert ours == pytest.approx(learner.logprobs(prefix)[-1, choices].tolist(), abs=1e-4)


def test_prefixes_that_fill_the_context_have_no_choice(loaded_engine: Engine, learner: Learner) -> None:
    prefixes = [[9] * length for length in (CONTEXT + 7, CONTEXT - 1, CONTEXT, 3)]
    first, second, third, fourth = loaded_engine.choice_logprobs(prefixes, [300])
    assert (first, third) == (None, None)
    assert second == pytest.approx(learner.logprobs(prefixes[1])[-1, [300]].tolist(), abs=1e-4)
    assert fourth == pytest.approx(learner.logprobs(prefixes[3])[-1, [300]].tolist(), abs=1e-4)
    assert loaded_engine.choice_logprobs(prefixes[:1], [300]) == [None]


def test_prefixes_of_a_block_are_cached(loaded_engine: Engine) -> None:
    texts = [[11 + start] * 80 for start in range(2)]
    assert loaded_engine.held(texts[0]) == 0
    loaded_engine.prime(texts)
    assert [loaded_engine.held(text) for text in texts] == [64, 64]
    loaded_engine.reset_cache()
    assert [loaded_engine.held(text) for text in texts] == [0, 0]


def test_weights_are_never_unpickled(loaded_engine: Engine) -> None:
    assert loaded_engine.llm.llm_engine.vllm_config.load_config.load_format == "safetensors"


def test_the_tokenizer_digest_tells_tokenizers_apart(loaded_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = loaded_engine.tokenizer_digest
    assert before == loaded_engine.tokenizer_digest
    monkeypatch.setattr(loaded_engine.llm.get_tokenizer(), "chat_template", "{{ messages }}")
    assert loaded_engine.tokenizer_digest != before


def test_a_vllm_without_the_calls_needed_is_refused_by_name() -> None:
    other = SimpleNamespace(__version__="0.99", LLM=object, SamplingParams=object)
    with pytest.raises(
        InfrastructureFailed, match=r"vLLM 0\.99 lacks LLM\.init_weight_transfer_engine.*SamplingParams\.seed"
    ):
        require_api(other, ROLLOUTS_NEED)


@pytest.mark.parametrize(("given", "more"), [({}, []), ({"eos_token_id": 7}, [7]), ({"eos_token_id": [7, 8]}, [7, 8])])
def test_answers_end_with_the_tokenizers_end_token_and_the_models(
    loaded_engine: Engine, monkeypatch: pytest.MonkeyPatch, given: dict[str, object], more: list[int]
) -> None:
    encoder = loaded_engine.encoder(Template.none)
    end, other = encoder.tokenizer.convert_tokens_to_ids(["<|im_end|>", "~"])
    assert (encoder.ends, encoder.template, encoder.max_context) == ({end, other}, Template.none, CONTEXT)
    monkeypatch.setattr(loaded_engine.llm.llm_engine.model_config, "try_get_generation_config", lambda: given)
    assert loaded_engine.encoder(Template.chat).ends == {end, *more}

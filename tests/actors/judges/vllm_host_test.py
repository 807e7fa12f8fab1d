"""A judge's language model on vLLM against the same one on transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.judges import vllm_host
from actors.judges.transformers_host import TransformersSpeaker
from actors.judges.vllm_host import VllmClassifier, VllmSpeaker
from loop.errors import Refused
from loop.judge_config import Backend, HostedConfig
from loop.judges.speaking import Writing
from tests.actors.judges import kit

pytestmark = pytest.mark.engine

CONTEXT = 96
INPUTS = [[(7 * at + start) % 250 + 3 for at in range(length)] for start, length in enumerate((5, 90, 3, 17))]
FULL = [9] * CONTEXT


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return kit.language_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def speaker(model_path: str) -> VllmSpeaker:
    config = kit.hosted(HostedConfig, model_path, backend=Backend.vllm, max_context=CONTEXT)
    made: VllmSpeaker = kit.on_vllm(VllmSpeaker, config)
    return made


def test_next_logprobs_are_over_the_whole_vocabulary_on_either_backend(speaker: VllmSpeaker, model_path: str) -> None:
    other = TransformersSpeaker(kit.hosted(HostedConfig, model_path, max_context=CONTEXT))
    tokens = [70, 3, 2, 200]
    for row, expected in zip(
        speaker.next_logprobs(INPUTS, tokens, "p"), other.next_logprobs(INPUTS, tokens, "p"), strict=True
    ):
        assert row == pytest.approx(expected, abs=1e-4)


def test_an_input_that_fills_the_context_is_left_out(speaker: VllmSpeaker) -> None:
    inputs_T = [INPUTS[0], FULL, INPUTS[2]]
    found = speaker.next_logprobs(inputs_T, [70], "p")
    assert found[1] is None and found[0] == pytest.approx(speaker.next_logprobs(INPUTS[:1], [70], "p")[0], abs=1e-5)
    texts = speaker.write(inputs_T, [1, 2, 3], Writing(1.0, 200), "p")
    assert [text is None for text in texts] == [False, True, False]
    assert speaker.next_logprobs([FULL], [70], "p") == [None]


def test_seeds_and_temperature_decide_what_is_written(speaker: VllmSpeaker) -> None:
    inputs_T, seeds = [INPUTS[0]] * 6, [2**62 + at for at in range(6)]
    sampled = speaker.write(inputs_T, seeds, Writing(1.0, 12), "p")
    assert len(set(sampled)) > 1 and speaker.write(inputs_T, seeds, Writing(1.0, 12), "p") == sampled
    assert len(set(speaker.write(inputs_T, seeds, Writing(0.0, 12), "p"))) == 1


def test_nothing_but_a_choice_is_written(speaker: VllmSpeaker) -> None:
    choices = ("[[A]]", '"B" \\ b', "tie", "1", "10")
    longest = max(len(choice.encode()) for choice in choices) + 1
    written = speaker.write([INPUTS[0]] * 64, range(64), Writing(1.0, longest, choices), "p")
    found = {(one.text, one.ended) for one in written if one}
    assert found <= {(choice, True) for choice in choices} and len(found) > 2
    assert {("1", True), ("10", True)} & found


def test_a_text_is_ended_by_the_model_or_cut(speaker: VllmSpeaker) -> None:
    inputs_T, seeds = [INPUTS[0]] * 64, range(64)
    long = speaker.write(inputs_T, seeds, Writing(1.0, 60), "p")
    assert {text.ended for text in long if text} == {True, False}
    short = speaker.write(inputs_T, seeds, Writing(1.0, 3), "p")
    for whole, part in zip(long, short, strict=True):
        assert whole and part
        assert part == whole or not part.ended, "an end token within three"
    (full,) = speaker.write([FULL[1:]], [0], Writing(1.0, 60, ("ab",)), "p")
    assert full and (full.text, full.ended) == ("a", False), "the context ends before the choice does"


def test_the_tokens_are_those_that_were_written_with_the_one_that_ended_the_text(speaker: VllmSpeaker) -> None:
    tokenizer = kit.demo_tokenizer()
    for one in speaker.write([INPUTS[0]] * 64, range(64), Writing(1.0, 60), "p"):
        assert one is not None
        decoded = tokenizer.decode(one.tokens_T, skip_special_tokens=True)
        # the engine leaves out a character of which the last bytes are missing
        assert decoded.rstrip("\ufffd") == one.text.rstrip("\ufffd")
        assert (tokenizer.eos_token_id in one.tokens_T) == one.ended
        assert one.ended == (one.tokens_T[-1] == tokenizer.eos_token_id)


def test_what_was_read_and_written_is_counted(speaker: VllmSpeaker) -> None:
    before = speaker.usage()
    speaker.write([INPUTS[0], FULL], [1, 2], Writing(0.0, 1), "p")
    after = speaker.usage()
    changed = {name: after[name] - before[name] for name in ("requests", "prompt_tokens", "completion_tokens")}
    assert changed == {"requests": 1, "prompt_tokens": 5, "completion_tokens": 1}
    assert after["seconds"] > before["seconds"]


def test_a_second_engine_in_the_process_is_refused(
    speaker: VllmSpeaker, model_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_host, "_hosted", "OTHER/MODEL")
    for host in (VllmSpeaker, VllmClassifier):
        with pytest.raises(Refused, match=r"OTHER/MODEL and .* cannot both run on vLLM in one process"):
            host(kit.hosted(HostedConfig, model_path, backend=Backend.vllm))


def test_a_model_that_vllm_does_not_know_is_refused(tmp_path: Path) -> None:
    path = kit.language_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["FooForCausalLM"]}))
    with pytest.raises(Refused, match=r"\(backend=transformers may\): Model architectures .* not supported for now\.$"):
        kit.on_vllm(VllmSpeaker, kit.hosted(HostedConfig, path, backend=Backend.vllm))

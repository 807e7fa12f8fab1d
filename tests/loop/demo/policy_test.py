"""The tokenizer, and the policy that is stored with the project."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from loop.demo.card import WEIGHTS
from loop.demo.policy import TURN_END, TURN_START, make_tokenizer

STORED = Path(__file__).resolve().parents[3] / "conf" / "demo" / "policy"
PARAMETERS = 632_960


def test_one_token_a_byte_and_back() -> None:
    tokenizer = make_tokenizer()
    text = "Next: qkzbf\né…\t"
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text


def test_plain_text_makes_no_special_tokens() -> None:
    tokenizer = make_tokenizer()
    ids = tokenizer("".join(map(chr, range(256))) + "<|im_end |> im_start pad")["input_ids"]
    assert not set(ids) & set(tokenizer.all_special_ids)


def test_chat_template() -> None:
    chat = [{"role": "user", "content": "Copy: ab"}]
    text = make_tokenizer().apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert text == f"{TURN_START}user\nCopy: ab{TURN_END}\n{TURN_START}assistant\n"


def test_stored_policy_has_the_promised_size() -> None:
    model = AutoModelForCausalLM.from_pretrained(STORED, dtype=torch.float32)
    assert model.config.architectures == ["Qwen2ForCausalLM"]
    assert model.num_parameters() == PARAMETERS
    assert model.config.tie_word_embeddings
    assert (STORED / WEIGHTS).stat().st_size < 3_000_000
    assert all(torch.isfinite(weight).all() for weight in model.parameters())


def test_stored_tokenizer_is_the_one_made_here() -> None:
    stored, made = AutoTokenizer.from_pretrained(STORED), make_tokenizer()
    assert stored.get_vocab() == made.get_vocab()
    assert stored.chat_template == made.chat_template
    assert (stored.eos_token, stored.pad_token) == (TURN_END, "<|pad|>")


def test_stored_generation_config_ends_the_turn_and_nothing_else() -> None:
    config = json.loads((STORED / "generation_config.json").read_text(encoding="utf-8"))
    tokenizer = make_tokenizer()
    assert config.pop("transformers_version")
    assert config.pop("_from_model_config", False) is False
    assert config == {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}


@pytest.mark.parametrize(("instruction", "answer"), [("Copy: qkzbf", "qkzbf"), ("Upper: qkzbf", "QKZBF")])
def test_stored_policy_prefers_the_right_answer(instruction: str, answer: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(STORED)
    model = AutoModelForCausalLM.from_pretrained(STORED, dtype=torch.float32)
    chat = [{"role": "user", "content": instruction}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    encoded = tokenizer(text, return_tensors="pt")
    out = model.generate(**encoded, do_sample=False, max_new_tokens=16)
    assert tokenizer.decode(out[0, encoded["input_ids"].shape[1] :]) == answer + TURN_END

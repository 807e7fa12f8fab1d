"""Tiny random models behind the demo policy's tokenizer, and questions about them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForSequenceClassification,
)

import conf
from actors.judges import vllm_host
from loop.judge_config import Backend, HostedConfig, JudgeKind
from loop.judges.judge import Asked
from loop.records import Question

DEMO = str(Path(conf.__file__).parent / "demo" / "policy")
CONVERSATION = [{"role": "user", "content": "What is 2 + 3?"}]
RESPONSES = ["5", "five, of course", "It is 6.", "", "5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5"]

_kept: list[Any] = []
# an engine that is collected ends what it shares with the other engines of the test process


def demo_tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(DEMO)


def qwen(**changes: Any) -> Qwen2Config:
    return Qwen2Config(
        **{
            "vocab_size": 320,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 256,
            "pad_token_id": 0,
            "eos_token_id": 2,
            "bos_token_id": None,
            "initializer_range": 0.2,
            **changes,
        }
    )


def saved(model: PreTrainedModel, path: Path, tokenizer: PreTrainedTokenizerBase | None = None) -> str:
    model.float().save_pretrained(path)
    (tokenizer or demo_tokenizer()).save_pretrained(path)
    return str(path)


def classifier(path: Path, outputs: int = 1, seed: int = 0, **changes: Any) -> str:
    """A random Qwen2 with a classifier's head."""
    torch.manual_seed(seed)
    return saved(Qwen2ForSequenceClassification(qwen(num_labels=outputs, **changes)), path)


def language_model(path: Path, seed: int = 0, **changes: Any) -> str:
    """A random Qwen2."""
    torch.manual_seed(seed)
    return saved(Qwen2ForCausalLM(qwen(**changes)), path)


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Words, `[CLS] a [SEP] b [SEP]` with token types, and no chat template: as encoders have it."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "what", "is", "two", "and", "three", "five", "six", "or", "it"]
    core = Tokenizer(WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = Whitespace()
    core.post_processor = TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def encoder_classifier(path: Path, outputs: int = 1) -> str:
    """A random BERT that compares two segments."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=16,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        initializer_range=0.5,
        num_labels=outputs,
    )
    return saved(BertForSequenceClassification(config), path, word_tokenizer())


def hosted(config_class: Any, model: str, **changes: Any) -> Any:
    """A judge's configuration, small, on transformers."""
    known = {field.name for field in fields(config_class)}
    assert set(changes) <= known
    settings = {"name": "judge", "kind": JudgeKind.reward_model, "max_context": 256, "batch": 4, "kv_cache_gb": 0.1}
    return config_class(**{**settings, "model": model, "backend": Backend.transformers, **changes})


def on_vllm(host: Any, config: HostedConfig) -> Any:
    """A host on vLLM that lives as long as the test process, whatever other engine there is in it."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vllm_host, "_hosted", None)
        _kept.append(host(config))
    return _kept[-1]


def asked(*texts: str, conversation: list[dict[str, str]] | None = None, sample: int = 0) -> Asked:
    """A question about one response, or two."""
    ids = [f"r{at}" for at in range(len(texts))]
    return Asked(Question("p", ids, sample), conversation or CONVERSATION, texts, None)

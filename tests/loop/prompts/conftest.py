"""Tokenizers made on the spot, and files of prompts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
WriteRows = Callable[..., str]


def _wrapped(core: Tokenizer) -> PreTrainedTokenizerBase:
    made = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|pad|>", additional_special_tokens=["<|im_start|>"]
    )
    made.chat_template = TEMPLATE
    return made


@pytest.fixture(scope="session")
def byte_level() -> PreTrainedTokenizerBase:
    """Bytes without merges: what tiny models in tests use."""
    entries = SPECIAL + sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={entry: number for number, entry in enumerate(entries)}, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return _wrapped(core)


@pytest.fixture(scope="session")
def merging() -> PreTrainedTokenizerBase:
    """Byte-level pairs with merges, among them one across the characters of a special string."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = ["what", "is", "the", "sum", "of", "these", "numbers", "please", "reverse", "<|", "|>", "im_end", "ä"]
    draws = random.Random(0)
    core.train_from_iterator((" ".join(draws.choices(words, k=12)) for _ in range(400)), trainer)
    return _wrapped(core)


@pytest.fixture(scope="session")
def unigram() -> PreTrainedTokenizerBase:
    """A model whose vocabulary holds the end token's string as an ordinary piece, as those of SentencePiece do."""
    pieces = [("<unk>", 0.0), ("</s>", 0.0), ("<s>", 0.0), ("▁", -2.0), *((c, -5.0) for c in "</>abcs")]
    core = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    core.pre_tokenizer, core.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture
def write_rows(tmp_path: Path) -> WriteRows:
    """Writes rows (objects, or lines as they stand) as one JSON Lines file and returns its path."""

    def write(name: str, *rows: dict[str, Any] | str) -> str:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (tmp_path / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return str(tmp_path / name)

    return write

"""Tokenizers of the kinds that judges have, made on the spot."""

from __future__ import annotations

import random
from functools import cache

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from loop.composition import CONF
from loop.prompts.tokenizer import load_tokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = "<s>{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }} [end]{% endfor %}"
SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>"]


@cache
def demo() -> PreTrainedTokenizerBase:
    """The demo policy's: bytes without merges."""
    return load_tokenizer(str(CONF / "demo" / "policy"))


@cache
def merging(turn_tokens_special: bool = True) -> PreTrainedTokenizerBase:
    """Byte-level pairs with merges, among them some across the characters of a special string. Some models' turn tokens
    are not marked as special."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL if turn_tokens_special else SPECIAL[:1],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = ["what", "is", "the", "sum", "Answer", "A", "B", "<|", "|>", "im_end", "im_start", "ä"]
    draws = random.Random(0)
    core.train_from_iterator((" ".join(draws.choices(words, k=12)) for _ in range(400)), trainer)
    if turn_tokens_special:
        made = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|pad|>")
        made.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    else:
        made = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<|pad|>")
        made.add_tokens(["<|im_start|>", "<|im_end|>", "\n\n", "<table>"])
    made.chat_template = CHATML
    return made


@cache
def metaspace(chat: bool = True, lines: bool = True) -> PreTrainedTokenizerBase:
    """As SentencePiece's: a space before every text that is encoded, special strings as ordinary entries, and
    characters that the vocabulary lacks (without `lines`, also the end of a line)."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁", -2.0), ("▁A", -1.0), ("▁ab", -1.0), ("\nA", -1.0)]
    pieces += [(c, -5.0) for c in "</>[]|_ABCabcdeimnrstu1k:\n"]
    pieces = [piece for piece in pieces if lines or "\n" not in piece[0]]
    core = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    core.pre_tokenizer, core.decoder = pre_tokenizers.Metaspace(prepend_scheme="always"), decoders.Metaspace()
    core.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    made = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    if chat:
        made.chat_template = LLAMA
    return made

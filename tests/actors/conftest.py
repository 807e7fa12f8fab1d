"""Models, learner stand-ins and engines shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from actors.engine import Engine
from actors.engine_settings import EngineSpec
from loop.push import Manifest, Reading, TensorSpec

CONTEXT = 128
PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges."""
    vocab = {token: at for at, token in enumerate([PAD, START, END, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=END, pad_token=PAD, additional_special_tokens=[START], model_max_length=1024
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return tokenizer


def save_tiny_model(path: Path, *, tied: bool, vocabulary: int) -> str:
    """A random Qwen2."""
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=vocabulary,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            tie_word_embeddings=tied,
        )
    )
    return save(model, path)


def save_tiny_gemma(path: Path) -> str:
    """A random Gemma 2: vLLM's has no LM head and computes with the embedding. Probe texts outgrow its window."""
    torch.manual_seed(0)
    model = Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=320,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            query_pre_attn_scalar=32,
            sliding_window=48,
            max_position_embeddings=1024,
        )
    )
    return save(model, path)


def save(model: PreTrainedModel, path: Path) -> str:
    """Write a checkpoint with a byte-level tokenizer and a generation configuration whose sampling must not leak."""
    tokenizer = byte_tokenizer()
    model.config.bos_token_id = None
    model.config.eos_token_id = tokenizer.eos_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config = GenerationConfig(
        eos_token_id=[tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("~")],
        pad_token_id=tokenizer.pad_token_id,
        do_sample=True,
        temperature=0.01,
        top_k=1,
        repetition_penalty=1.9,
    )
    model.float().save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a random Qwen2 whose LM head is tied to its embedding."""
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tied", tied=True, vocabulary=320)


@pytest.fixture(scope="session")
def untied_model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same with a head of its own and a vocabulary that vLLM pads (300 rows to 320)."""
    return save_tiny_model(tmp_path_factory.mktemp("models") / "untied", tied=False, vocabulary=300)


@pytest.fixture(scope="session")
def headless_model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tied model for whose LM head vLLM has no module."""
    return save_tiny_gemma(tmp_path_factory.mktemp("models") / "headless")


def tiny_spec(path: str) -> EngineSpec:
    """An engine for a tiny model on one core."""
    return EngineSpec(
        path=path,
        dtype="float32",
        max_context=CONTEXT,
        max_concurrent=64,
        kv_cache_gb=0.125,
        gpu_memory=0.2,
        prefix_caching=True,
        eager=True,
    )


class Learner:
    """A learner's weights without a learner: a plain Hugging Face model, perturbed instead of trained."""

    def __init__(self, path: str) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        self._noise = torch.Generator().manual_seed(1)

    @torch.no_grad()
    def step(self) -> None:
        """Move every weight a little."""
        for parameter in self.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=self._noise), alpha=0.02)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Copies of the weights under their checkpoint names, the LM head spelled out."""
        tensors = {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}
        return {**tensors, "lm_head.weight": self.model.lm_head.weight.detach().clone()}

    def manifest(self, version: str) -> Manifest:
        """What a complete push of the weights holds."""
        return Manifest(version, tuple(TensorSpec.of(name, tensor) for name, tensor in self.tensors().items()))

    @torch.no_grad()
    def logprobs(self, tokens_T: list[int]) -> torch.Tensor:
        """Log-probs `[T, V]` of the token after each position."""
        logits: torch.Tensor = self.model(torch.tensor([tokens_T])).logits[0]
        return torch.log_softmax(logits.double(), -1)

    def reading(self, texts_T: list[list[int]]) -> Reading:
        """The learner's side of the probe."""
        forced = []
        for tokens_T in texts_T:
            rows = self.logprobs(tokens_T)[:-1]
            forced.append(rows.gather(1, torch.tensor(tokens_T[1:])[:, None])[:, 0].tolist())
        return Reading.without_cache(forced)


def _engine(path: str) -> Engine:
    torch.set_num_threads(1)
    return Engine(tiny_spec(path))


@pytest.fixture(scope="session")
def engine(tiny_model_path: str) -> Engine:
    """A live engine with the tied model, shared: tests push what they need first."""
    return _engine(tiny_model_path)


@pytest.fixture(scope="session")
def untied_engine(untied_model_path: str) -> Engine:
    """A live engine with the untied model, in the same process."""
    return _engine(untied_model_path)


@pytest.fixture(scope="session")
def headless_engine(headless_model_path: str) -> Engine:
    """A live engine with the model that has no LM head in vLLM."""
    return _engine(headless_model_path)


@pytest.fixture
def learner(tiny_model_path: str) -> Learner:
    """The tied model as the engine has loaded it."""
    return Learner(tiny_model_path)


@pytest.fixture
def untied_learner(untied_model_path: str) -> Learner:
    """The untied model as the engine has loaded it."""
    return Learner(untied_model_path)


@pytest.fixture
def headless_learner(headless_model_path: str) -> Learner:
    """The same model, which has an LM head here."""
    return Learner(headless_model_path)


@pytest.fixture
def loaded_engine(engine: Engine, learner: Learner) -> Engine:
    """The shared engine with the weights of its checkpoint, whatever other tests have pushed, stamped `v0`."""
    engine.begin()
    engine.load(learner.tensors())
    engine.finish("v0")
    return engine

"""Log-probs of the policy module against the model's own logits."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from actors.policy_module import PolicyModule, load_policy

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def qwen(**changes: object) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(Qwen2Config(**{**SIZES, "initializer_range": 0.3, "tie_word_embeddings": True, **changes}))


def rows() -> tuple[Tensor, Tensor, Tensor]:
    """Three rows of 9, 6 and 4 tokens with 5, 3 and 1 response tokens."""
    lengths_B, responses_B = torch.tensor([9, 6, 4]), torch.tensor([5, 3, 1])
    attention_BL = torch.arange(9)[None] < lengths_B[:, None]
    response_BL = attention_BL & (torch.arange(9)[None] >= (lengths_B - responses_B)[:, None])
    ids_BL = torch.randint(1, 64, (3, 9), generator=torch.Generator().manual_seed(1)) * attention_BL
    return ids_BL, attention_BL, response_BL


def reference(model: PreTrainedModel) -> Tensor:
    """Row by row without padding, from the model's own logits."""
    pieces = []
    for ids_L, attention_L, response_L in zip(*rows(), strict=True):
        ids = ids_L[attention_L]
        logprobs = torch.log_softmax(model(ids[None]).logits[0].float(), -1)
        positions = response_L.nonzero().squeeze(-1)
        pieces.append(logprobs[positions - 1].gather(-1, ids[positions][:, None]).squeeze(-1))
    return torch.cat(pieces)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_log_probs_and_gradients_are_the_models_own(chunk: int, tied: bool) -> None:
    model = qwen(tie_word_embeddings=tied)
    expected_R = reference(model)
    expected = torch.autograd.grad(expected_R.pow(2).sum(), list(model.parameters()))
    logprobs_R = PolicyModule(model, chunk)(*rows())
    got = torch.autograd.grad(logprobs_R.pow(2).sum(), list(model.parameters()))
    torch.testing.assert_close(logprobs_R, expected_R, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-4)


def test_log_probs_of_a_bfloat16_model_are_float32() -> None:
    logprobs_R = PolicyModule(qwen().bfloat16(), 4)(*rows())
    assert logprobs_R.dtype == torch.float32
    assert logprobs_R.shape == (9,)
    torch.testing.assert_close(logprobs_R, reference(qwen()), atol=0.3, rtol=0.05)


def test_no_tensor_is_as_large_as_full_logits() -> None:
    module, largest = PolicyModule(qwen(vocab_size=50_000), 2), 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor) and out.shape[-1:] == (50_000,):
                largest = max(largest, out.numel() // 50_000)
            return out

    with Watch():
        module(*rows())
    assert largest == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_models_that_cap_their_logits_use_them_and_say_so(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    sizes = {**SIZES, "head_dim": 8, "query_pre_attn_scalar": 8, "initializer_range": 0.02}
    model = Gemma2ForCausalLM(Gemma2Config(**sizes, final_logit_softcapping=30.0)).to(dtype)
    with pytest.warns(UserWarning, match="Gemma2ForCausalLM changes its logits"):
        module = PolicyModule(model, 4)
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(module(*rows()), reference(model), atol=tolerance, rtol=tolerance)


def test_models_that_scale_their_logits_use_them_and_say_so() -> None:
    torch.manual_seed(0)
    model = GraniteForCausalLM(GraniteConfig(**SIZES, logits_scaling=8.0, initializer_range=0.3))
    with pytest.warns(UserWarning, match="GraniteForCausalLM changes its logits"):
        module = PolicyModule(model, 4)
    torch.testing.assert_close(module(*rows()), reference(model), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_plain_model_gives_no_warning(dtype: torch.dtype) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert PolicyModule(qwen().to(dtype), 4).head is not None


def test_loading_switches_dropout_off(tmp_path: object) -> None:
    qwen(attention_dropout=0.5).save_pretrained(str(tmp_path))
    module = load_policy(str(tmp_path), None, torch.float32, 4).train()
    torch.testing.assert_close(module(*rows()), module(*rows()), atol=0, rtol=0)
    assert len(set(dict(module.named_parameters()))) == len(list(module.model.parameters()))

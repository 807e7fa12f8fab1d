"""A step of examples, however it is rendered and split: through a small policy, the same loss and the same gradient."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from actors.policy_module import PolicyModule
from loop.batches import (
    FlatBatch,
    Rendering,
    Step,
    TokenSequence,
    batch_of,
    example_batch,
    flat_batch,
    packed,
    padded,
    plan,
    sequence_of,
    sizes_of,
)
from loop.losses import Batch, Loss, named_loss
from loop.records import Example
from tests.loop.factories import list_example, pair_example, response, single_example

VOCABULARY = 48
Render = Callable[[FlatBatch], Rendering]


def policy(attention: str, dtype: torch.dtype = torch.float64) -> PolicyModule:
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True}
    config = Qwen2Config(**sizes, **heads, initializer_range=0.3, attn_implementation=attention)
    return PolicyModule(Qwen2ForCausalLM(config).to(dtype), chunk=5)


def sequences() -> dict[str, TokenSequence]:
    draw, made = random.Random(0), {}
    for at in range(12):
        length, prompt = draw.randrange(2, 12), draw.randrange(1, 5)
        tokens = [draw.randrange(VOCABULARY) for _ in range(length)]
        row = replace(
            response(0, id=f"y{at}"),
            prompt_tokens_T=[draw.randrange(VOCABULARY) for _ in range(prompt)],
            tokens_T=tokens,
            logprobs_T=[-6 * draw.random() for _ in tokens],
            loss_mask_T=[draw.random() < 0.8 for _ in tokens[1:]] + [True],
        )
        made[row.response_id] = sequence_of(row, [None, [-6 * draw.random() for _ in tokens]])
    return made


SEQUENCES = sequences()
NAMES = list(SEQUENCES)
PAIRS = [
    replace(
        pair_example(f"p{i}", NAMES[i], NAMES[(i * 5 + 1) % 12], 0.6 + 0.05 * i, i, 0.5 + 0.1 * i), labels=[0.8, 0.3]
    )
    for i in range(7)
]
LISTS = [list_example(f"l{i}", NAMES[i : i + 2 + i % 3], [0.9, 0.2, 0.5, 0.7][: 2 + i % 3], 1 + i) for i in range(6)]
SINGLES = [single_example(f"s{i}", NAMES[i], float(i % 2), 0.5 + i) for i in range(7)]
STEPS = {
    **dict.fromkeys(("spce", "ld_dpo", "inpo", "sppo", "wpo", "simpo", "aot"), PAIRS),
    **dict.fromkeys(("lipo", "infonca"), LISTS),
    **dict.fromkeys(("implicit_prm", "bco"), SINGLES),
}


def learnt(
    module: PolicyModule, loss: Loss, examples: Sequence[Example], step: Step, render: Render
) -> tuple[Tensor, Tensor]:
    """The step's loss and its gradient, micro-batch by micro-batch, rank by rank."""

    def seen(micro_batch: Sequence[int]) -> Batch:
        flat = example_batch([examples[index] for index in micro_batch], SEQUENCES)
        output = module(*render(flat), alignment=loss.needs.alignment)
        lp_R, alignment_R = output.unbind(-1) if loss.needs.alignment else (output, None)
        return batch_of(flat, lp_R, loss.row.kind, loss.needs, alignment_R=alignment_R)

    micro_batches = [micro_batch for rank in step.ranks for micro_batch in rank if micro_batch]
    constants = {}
    if loss.scope == "batch":
        with torch.no_grad():
            read = {i: row for m in micro_batches for i, row in zip(m, loss.read(seen(m)), strict=True)}
        prepared, _ = loss.prepare(torch.stack([read[index] for index in step.examples]), loss.initial_state())
        constants = dict(zip(step.examples, prepared, strict=True))
    module.zero_grad()
    total = torch.zeros((), dtype=torch.float64)
    for micro_batch in micro_batches:
        prepared_NS = torch.stack([constants[index] for index in micro_batch]) if constants else None
        value = loss.evaluate(seen(micro_batch), prepared_NS).loss_N.sum() / len(step.examples)
        value.backward()  # type: ignore[no-untyped-call]
        total += value.detach()
    return total, torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", STEPS)
def test_any_split_and_rendering_gives_the_same_loss_and_gradient(name: str) -> None:
    module, loss, examples = policy("sdpa"), named_loss(name), STEPS[name]
    sizes = sizes_of(examples, SEQUENCES)
    (whole,) = plan(sizes, 1, len(examples), 10**6, 1, seed=0)
    value, gradient = learnt(module, loss, examples, whole, padded)
    # Qwen2 normalises in float32, whatever the weights are: its rounding is all that may differ.
    rounding = 1e-6 * float(gradient.abs().max())
    assert rounding > 1e-10
    for ranks, budget, render in ((1, 10**6, packed), (1, 1, padded), (2, 60, padded), (3, 40, packed)):
        (step,) = plan(sizes, ranks, len(examples), budget, 1, seed=0)
        again, its_gradient = learnt(module, loss, examples, step, render)
        torch.testing.assert_close(again, value, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(its_gradient, gradient, rtol=0, atol=rounding)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_packed_sequences_do_not_see_each_other(attention: str) -> None:
    module = policy(attention, torch.float32)
    ours = list(SEQUENCES.values())
    alone_R = torch.cat([module(*padded(flat_batch([one]))) for one in ours])
    for render in (padded, packed):
        torch.testing.assert_close(module(*render(flat_batch(ours))), alone_R, rtol=1e-5, atol=1e-5)


def test_a_pass_that_asks_for_alignment_gives_both_without_another_gradient() -> None:
    module, rendering = policy("sdpa"), padded(flat_batch(list(SEQUENCES.values())))
    both_R2, plain_R = module(*rendering, alignment=True), module(*rendering)
    assert torch.equal(both_R2[:, 0], plain_R)
    logits_BLV = module.model(rendering.ids_BL, attention_mask=rendering.attention_BL).logits[:, :-1]
    log_p_RV = logits_BLV[rendering.response_BL[:, 1:]].log_softmax(-1)
    torch.testing.assert_close(both_R2[:, 1], plain_R - (2 * log_p_RV).exp().sum(-1).log())
    gradients = torch.autograd.grad(both_R2.sum(), list(module.parameters()))
    torch.testing.assert_close(gradients, torch.autograd.grad(plain_R.sum(), list(module.parameters())))

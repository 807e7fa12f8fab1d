"""Our losses against a whole DPO trainer of TRL on a tiny model: its collator, its forward pass, every parameter's
gradient."""

import warnings

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from loop.losses import PairBatch, Side
from tests.loop.losses.trl_peer import our_loss

pytest.importorskip("trl", reason="trl is not installed")

VOCABULARY = 32
# Prompt, chosen and rejected response.
ROWS = [
    ([5, 6, 7], [8, 9, 10, 11, 2], [12, 2]),
    ([13], [14, 2], [15, 16, 17, 18, 19, 20, 2]),
    ([21, 22], [23, 24, 25, 2], [26, 27, 28, 2]),
]


def tiny(seed: int) -> Qwen2ForCausalLM:
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.4,
        attn_implementation="eager",
    )
    return Qwen2ForCausalLM(config)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    from trl import DPOConfig, DPOTrainer

    words = Tokenizer(WordLevel({str(i): i for i in range(VOCABULARY)}, unk_token="0"))
    words.pre_tokenizer = Whitespace()

    arguments = DPOConfig(
        output_dir=str(tmp_path_factory.mktemp("trl")),
        use_cpu=True,
        bf16=False,
        report_to=[],
        use_weighting=True,
        gradient_checkpointing=False,
        per_device_train_batch_size=len(ROWS),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = DPOTrainer(
            model=tiny(1),
            ref_model=tiny(2),
            args=arguments,
            train_dataset=Dataset.from_list([{"prompt": "3", "chosen": " 4", "rejected": " 5"}]),  # it must have one
            processing_class=PreTrainedTokenizerFast(
                tokenizer_object=words, pad_token="1", eos_token="2", unk_token="0"
            ),
        )
    return made


def side(model, anchor, rows) -> Side:
    """Sums by response, one sequence after the other without padding."""
    sums = {"lp": [], "rf": [], "n": [], "alignment": []}
    for prompt, response in rows:
        ids_1L = torch.tensor([prompt + response])
        targets = ids_1L[0, 1:, None]
        first = len(prompt) - 1
        logprobs_TV = model(ids_1L).logits[0, :-1].log_softmax(-1)[first:]
        with torch.no_grad():
            anchor_TV = anchor(ids_1L).logits[0, :-1].log_softmax(-1)[first:]
        lp_T = logprobs_TV.gather(-1, targets[first:]).squeeze(-1)
        sums["lp"].append(lp_T.sum())
        sums["rf"].append(anchor_TV.gather(-1, targets[first:]).sum())
        sums["n"].append(torch.tensor(float(len(response))))
        sums["alignment"].append((lp_T - (2 * logprobs_TV).logsumexp(-1)).mean())
    return Side(**{name: torch.stack(values) for name, values in sums.items()})


@pytest.mark.parametrize(
    ("name", "loss_type", "weighted"),
    [
        ("dpo", "sigmoid", False),
        ("ipo_mean", "ipo", False),
        ("aot_unpaired", "aot_unpaired", False),
        ("wpo", "sigmoid", True),
    ],
)
def test_a_whole_trainer_has_our_loss_and_gradient(trainer, name, loss_type, weighted):
    trainer.loss_types, trainer.loss_weights, trainer.beta, trainer.use_weighting = [loss_type], [1.0], 0.3, weighted
    inputs = trainer.data_collator([{"prompt_ids": p, "chosen_ids": c, "rejected_ids": r} for p, c, r in ROWS])
    theirs = trainer.compute_loss(trainer.model, inputs)
    chosen = side(trainer.model, trainer.ref_model, [(p, c) for p, c, _ in ROWS])
    rejected = side(trainer.model, trainer.ref_model, [(p, r) for p, _, r in ROWS])
    one = torch.ones(len(ROWS))
    pairs = PairBatch(chosen=chosen, rejected=rejected, strength=one, margin=0 * one, weight=one)
    if weighted:
        assert (chosen.alignment + rejected.alignment < 0).all()  # where TRL does not clamp, we do
    ours = our_loss(name, pairs, **({"tau": 0.3} if name == "ipo_mean" else {"beta": 0.3}))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    parameters = list(trainer.model.parameters())
    our_gradients, their_gradients = (torch.autograd.grad(loss, parameters) for loss in (ours, theirs))
    for mine, other in zip(our_gradients, their_gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-6)
    assert max(gradient.abs().max() for gradient in their_gradients) > 1e-3

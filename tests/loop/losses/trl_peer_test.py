"""Our rows against TRL's DPO, KTO, CPO and ORPO trainers, value and gradient by token, on pairs of ragged lengths."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from loop.anchors import ema
from loop.losses import SingleBatch
from tests.loop.losses.trl_peer import V, assert_same, bare, forward, our_loss, random_step, trl_dpo

pytest.importorskip("trl", reason="trl is not installed")

BETAS = (0.05, 0.7)
SAME = {
    "dpo": ({}, ("sigmoid",), {}),
    "hinge": ({}, ("hinge",), {}),
    "ln_dpo": ({}, ("sigmoid_norm",), {}),
    "exo": ({"eps": 0.05}, ("exo_pair",), {"label_smoothing": 0.05}),
    "nca": ({}, ("nca_pair",), {}),
    "rdpo": ({"eps": 0.2}, ("robust",), {"label_smoothing": 0.2}),
    "sppo_hard": ({}, ("sppo_hard",), {}),
    "aot": ({}, ("aot",), {}),
    "aot_unpaired": ({}, ("aot_unpaired",), {}),
    "apo_zero": ({}, ("apo_zero",), {}),
    "apo_down": ({}, ("apo_down",), {}),
    "discopop": ({"tau": 0.3}, ("discopop",), {"tau": 0.3}),
    "ld_dpo": ({"alpha": 0.3}, ("sigmoid",), {"ld_alpha": 0.3}),
    "f_jsd": ({}, ("sigmoid",), {"f_divergence_type": "js_divergence"}),
    "f_forward_kl": ({}, ("sigmoid",), {"f_divergence_type": "forward_kl"}),
}


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", SAME)
def test_a_row_is_trls_loss_of_the_same_method(name, beta):
    options, loss_types, settings = SAME[name]
    step = random_step()
    ours = our_loss(name, step.pairs(), beta=beta, **options)
    assert_same(ours, trl_dpo(step, *loss_types, beta=beta, **settings), step)


def test_ipo_is_per_token_in_trl():
    step = random_step()
    theirs = trl_dpo(step, "ipo", beta=0.3)
    assert_same(our_loss("ipo_mean", step.pairs(), tau=0.3), theirs, step)
    assert not torch.isclose(our_loss("ipo", step.pairs(), tau=0.3), theirs, rtol=0.1)
    single_tokens = random_step({"prompt": [2, 3], "chosen": [1, 1], "rejected": [1, 1]})
    assert_same(our_loss("ipo", single_tokens.pairs(), tau=0.3), trl_dpo(single_tokens, "ipo", beta=0.3), single_tokens)


@pytest.mark.parametrize("coefficient", [0.25, 0.5, 1.0])
def test_alpha_divergences_have_trls_coefficient_at_one_minus_the_papers_alpha(coefficient):
    step = random_step(dtype=torch.float32)
    theirs = trl_dpo(step, "sigmoid", f_divergence_type="alpha_divergence", f_alpha_divergence_coef=coefficient)
    assert_same(our_loss("f_alpha", step.pairs(), alpha=1 - coefficient), theirs, step, rtol=1e-4)
    if coefficient != 0.5:
        assert not torch.isclose(our_loss("f_alpha", step.pairs(), alpha=coefficient), theirs, rtol=1e-3)


def test_forward_kl_overflows_in_trl_where_a_chosen_answer_has_become_very_unlikely():
    step = random_step({"prompt": [1], "chosen": [2], "rejected": [2]}, dtype=torch.float32)
    far = replace(step, rf_ST=step.rf_ST + 100 * step.mask_SL[:, 1:] * torch.tensor([[1.0], [0.0]]))
    assert trl_dpo(far, "sigmoid", f_divergence_type="forward_kl").isinf()
    assert our_loss("f_forward_kl", far.pairs()).isfinite()


def test_sppo_with_hard_win_rates_is_half_of_trls():
    step = random_step()
    theirs = trl_dpo(step, "sppo_hard", beta=0.5)
    assert_same(2 * our_loss("sppo", step.pairs(labels=(1.0, 0.0)), beta=0.5), theirs, step)
    assert_same(our_loss("sppo_hard", step.pairs(), beta=0.5, scale=0.5) * 2, theirs, step)


def test_label_smoothing_of_dpo_is_ours_and_ignored_by_trl():
    step = random_step()
    hard = trl_dpo(step, "sigmoid", beta=0.5)
    assert torch.equal(trl_dpo(step, "sigmoid", beta=0.5, label_smoothing=0.3), hard)
    half = len(step.ids_SL) // 2
    rows = {name: value.roll(half, 0) for name, value in vars(step).items() if name != "leaf"}
    swapped = replace(step, **rows)
    assert_same(
        our_loss("cdpo", step.pairs(), beta=0.5, eps=0.3),
        0.7 * hard + 0.3 * trl_dpo(swapped, "sigmoid", beta=0.5),
        step,
    )


def test_wpo_weighs_as_trl_does_as_long_as_no_weight_is_above_one():
    step = random_step()
    chosen, rejected = step.sides()
    assert (chosen.alignment + rejected.alignment < 0).all()
    assert_same(our_loss("wpo", step.pairs(), beta=0.5), trl_dpo(step, "sigmoid", beta=0.5, use_weighting=True), step)


def test_wpo_is_not_clamped_in_trl():
    step = random_step()
    sure = replace(step, squared_ST=step.squared_ST - 4 * step.mask_SL[:, 1:])
    chosen, rejected = sure.sides()
    weights = (chosen.alignment + rejected.alignment).exp().detach()
    assert (weights > 1).all()
    theirs = trl_dpo(sure, "sigmoid", beta=0.5, use_weighting=True)
    pairs = sure.pairs()
    assert_same(our_loss("wpo", pairs, beta=0.5), our_loss("dpo", pairs, beta=0.5), sure)
    z_N = 0.5 * pairs.h
    assert_same((weights * torch.nn.functional.softplus(-z_N)).mean(), theirs, sure)


def test_a_supervised_term_is_a_mean_over_the_batchs_tokens_in_trl_and_over_each_answers_with_us():
    step = random_step()
    theirs = trl_dpo(step, "sft")
    chosen, _ = step.sides()
    ours = our_loss("sft", SingleBatch(response=chosen, weight=torch.ones_like(chosen.n)))
    assert not torch.isclose(ours, theirs, rtol=1e-2)
    # weighed by its length, an answer counts with us as it does there
    weighed = SingleBatch(response=chosen, weight=chosen.n / chosen.n.mean())
    assert_same(our_loss("sft", weighed), theirs, step)
    both = trl_dpo(step, "sigmoid", "sft", loss_weights=[1.0, 0.2])
    assert_same(our_loss("iterative_rpo", step.pairs(), nll=0.2) + 0.2 * (theirs - ours), both, step)


def test_a_supervised_term_is_the_same_where_answers_are_equally_long():
    step = random_step({"prompt": [2, 3, 1], "chosen": [4, 4, 4], "rejected": [2, 6, 3]})
    both = trl_dpo(step, "sigmoid", "sft", loss_weights=[1.0, 0.2])
    assert_same(our_loss("iterative_rpo", step.pairs(), nll=0.2), both, step)


def test_bco_is_trls_pair_form_before_any_reward_was_seen():
    # TRL's has no running mean (delta); with decay 1 ours stays at the 0 that it begins with.
    step = random_step()
    theirs = trl_dpo(step, "bco_pair", beta=0.5)
    assert_same(2 * our_loss("bco", step.singles(), beta=0.5, decay=1.0), theirs, step)  # two responses a pair
    shifted = our_loss("bco", step.singles(), {"desirable": 1.0, "undesirable": 0.4}, beta=0.5, decay=1.0)
    assert not torch.isclose(2 * shifted, theirs, rtol=1e-3)


@pytest.mark.parametrize("shift", [3.0, -3.0])  # a reference point above zero, and one that is clamped there
def test_kto_is_trls(shift):
    from trl.trainer.kto_trainer import KTOTrainer

    step, others = random_step(), random_step(seed=1)
    mismatched_S = (others.lp_ST - others.rf_ST).sum(1).detach()
    mismatched_S = mismatched_S - mismatched_S.mean() + shift
    blank = torch.zeros_like(mismatched_S)[:, None]
    trainer = bare(
        KTOTrainer, beta=0.3, loss_type="kto", desirable_weight=1.3, undesirable_weight=0.8, calculate_KL=True
    )

    def model(of_policy):
        answers = forward(step.lp_ST if of_policy else step.rf_ST, step.squared_ST)
        about_others = forward(mismatched_S[:, None] if of_policy else blank, blank)
        return lambda input_ids, **_: about_others() if input_ids is others.ids_SL else answers()

    trainer.ref_model = model(of_policy=False)
    inputs = {
        "input_ids": step.ids_SL,
        "attention_mask": step.attention_SL,
        "completion_mask": step.mask_SL.long(),
        "KL_input_ids": others.ids_SL,
        "KL_attention_mask": others.attention_SL,
        "KL_completion_mask": others.mask_SL.long(),
        "label": torch.arange(len(step.ids_SL)) < len(step.ids_SL) // 2,
    }
    # `.to` gives back the very tensor that is on the device already, so the model can tell the two questions apart
    theirs = trainer._compute_loss(model(of_policy=True), inputs, False)
    ours = our_loss("kto", step.singles(mismatched_S), beta=0.3, lam_d=1.3, lam_u=0.8)
    assert_same(ours, theirs, step)


def with_logits():
    """A step whose leaf is the logits of its rows `[S, L, V]`, and the log-probs of all tokens, prompts' too."""
    step = random_step()
    logits_SLV = torch.randn(*step.ids_SL.shape, V, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    logits_SLV.requires_grad_()
    lp_ST = logits_SLV[:, :-1].log_softmax(-1).gather(-1, step.ids_SL[:, 1:, None]).squeeze(-1)
    return replace(step, leaf=logits_SLV, lp_ST=lp_ST * step.mask_SL[:, 1:]), lp_ST


def trl_cpo(step, **settings):
    """The loss of TRL's CPO trainer."""
    from trl.experimental.cpo import CPOTrainer

    return trl_anchorless(bare(CPOTrainer, **settings), step)


def trl_orpo(step, **settings):
    """The loss of TRL's ORPO trainer."""
    from trl.experimental.orpo import ORPOTrainer

    return trl_anchorless(bare(ORPOTrainer, **settings), step)


def trl_anchorless(trainer, step):
    half = len(step.ids_SL) // 2
    labels_SL = step.ids_SL.masked_fill(~step.mask_SL, -100)
    batch = {}
    for side, rows in (("chosen", slice(None, half)), ("rejected", slice(half, None))):
        batch[f"{side}_input_ids"] = step.ids_SL[rows]
        batch[f"{side}_attention_mask"] = step.attention_SL[rows]
        batch[f"{side}_labels"] = labels_SL[rows]
    return trainer.get_batch_loss_metrics(lambda *_, **__: SimpleNamespace(logits=step.leaf), batch, "train")[0]


@pytest.mark.parametrize(
    ("name", "options", "settings"),
    [
        ("simpo", {"beta": 2.0, "gamma": 0.6}, {"loss_type": "simpo", "simpo_gamma": 0.6, "alpha": 0.0}),
        (
            "alphapo",
            {"beta": 2.0, "gamma": 0.6, "alpha": 0.4},
            {"loss_type": "simpo", "simpo_gamma": 0.6, "alpha": 0.4},
        ),
        ("cpo", {"beta": 2.0, "nll": 0.0}, {"loss_type": "sigmoid", "alpha": 0.0}),
    ],
)
def test_a_contrast_without_an_anchor_is_trls(name, options, settings):
    step, _ = with_logits()
    theirs = trl_cpo(step, beta=2.0, cpo_alpha=0, **settings)
    assert_same(our_loss(name, step.pairs(), **options), theirs, step)


def test_the_likelihood_in_cpo_is_a_mean_over_the_batchs_tokens_in_trl():
    step, _ = with_logits()
    theirs = trl_cpo(step, beta=0.1, cpo_alpha=1.0, loss_type="sigmoid", alpha=0.0)
    chosen, _ = step.sides()
    by_token, by_answer = -chosen.lp.sum() / chosen.n.sum(), -chosen.mean.mean()
    assert not torch.isclose(by_token, by_answer, rtol=1e-2)
    assert_same(our_loss("cpo", step.pairs()) + by_token - by_answer, theirs, step)


def test_the_likelihood_in_orpo_is_that_of_the_prompt_too_in_trl():
    step, lp_ST = with_logits()
    theirs = trl_orpo(step, beta=0.4)
    half = len(lp_ST) // 2
    whole_rows = -lp_ST[:half][step.attention_SL[:half, 1:].bool()].mean()
    ours = our_loss("orpo", step.pairs(), scale=0.4, nll=0.0)
    assert_same(ours + whole_rows, theirs, step, rtol=1e-5)  # TRL's log-odds are float32
    answers_alone = our_loss("orpo", step.pairs(), scale=0.4, nll=1.0)
    assert not torch.isclose(answers_alone, theirs, rtol=1e-3)


def test_a_shadow_of_the_weights_moves_as_in_trl():
    from trl.trainer.callbacks import SyncRefModelCallback

    policy, shadow = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    ours = {name: ema(old, dict(policy.named_parameters())[name], 0.6) for name, old in shadow.named_parameters()}
    SyncRefModelCallback._sync_target_model(policy, shadow, 0.6)
    for name, theirs in shadow.named_parameters():
        torch.testing.assert_close(ours[name], theirs)

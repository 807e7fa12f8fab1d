"""What losses make of examples that rules found, through the learner's batches: the published values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from loop.batches import batch_of, example_batch, sequence_of
from loop.errors import Refused
from loop.losses import named_loss
from loop.pairing import named_rule, pair
from loop.records import Example
from loop.verdict import Group, Verdict
from tests.loop.pairing.cases import compared, samples, scored

F1 = {"id0": (-8.0, -10.0), "id1": (-11.0, -9.0)}
"""Sums of log-probs under policy and anchor: log-ratios +2 and -2."""
TWENTY = [[k] * 20 for k in range(8)]
"""Tokens of responses of equal length."""


def group(*purposes: str) -> Group:
    return samples(len(purposes), purpose=purposes, tokens_T=TWENTY, loss_mask_T=[[True] * 20] * 8)


def learnt(
    loss: str, examples: list[Example], responses: Group, sums: Mapping[str, tuple[float, float]], **options: float
) -> tuple[Tensor, dict[str, float]]:
    """The loss of each example, and the gradient of their sum by each response's log-prob."""
    named = named_loss(loss, options)
    anchored = {
        one.response_id: sequence_of(one, [[sums[one.response_id][1] / 20] * 20])
        for one in responses.responses_K
        if one.response_id in sums
    }
    flat = example_batch(examples, anchored)
    used = list(dict.fromkeys(id for one in examples for id in one.response_ids))
    lp_S = torch.tensor([sums[id][0] for id in used], dtype=torch.float64, requires_grad=True)
    batch = batch_of(flat, lp_S.repeat_interleave(20) / 20, named.row.kind, named.needs)
    loss_N = named.evaluate(batch).loss_N
    (gradient_S,) = torch.autograd.grad(loss_N.sum(), [lp_S])
    return loss_N.detach(), dict(zip(used, gradient_S.tolist(), strict=True))


def examples(rule: str, responses: Group, verdict: Verdict, **options: float) -> list[Example]:
    return pair(*named_rule(rule, options), responses, verdict, 1, False)


def about(value: float) -> object:
    return pytest.approx(value, abs=1e-6)


def test_spin_tells_the_given_answer_from_its_own() -> None:
    two = group("chosen", "train")
    found = examples("given", two, Verdict())
    loss_N, gradient = learnt("dpo", found, two, F1)
    assert loss_N.tolist() == [about(0.513015)]
    assert gradient == {"id0": about(-0.0401312), "id1": about(0.0401312)}
    assert learnt("hinge", found, two, F1)[0].tolist() == [about(0.6)]


def test_drift_tells_its_own_answer_from_the_given_failure() -> None:
    two = group("train", "rejected")
    assert learnt("dpo", examples("given", two, Verdict()), two, F1)[0].tolist() == [about(0.513015)]


def test_hypo_holds_its_own_answers_to_the_anchor() -> None:
    three = group("chosen", "rejected", "train")
    sums = F1 | {"id2": (-7.0, -10.0)}
    loss_N, gradient = learnt("hypo", examples("given", three, Verdict()), three, sums, kl=0.1)
    assert loss_N.tolist() == [about(0.813015)]
    assert gradient == {"id0": about(-0.0401312), "id1": about(0.0401312), "id2": about(0.3)}


def test_a_sample_of_a_pair_may_be_held_to_the_anchor_too() -> None:
    two = group("chosen", "train")
    loss_N, gradient = learnt("hypo", examples("given", two, Verdict()), two, F1, kl=0.1)
    assert loss_N.tolist() == [about(0.513015 + 0.1 * -2)]
    assert gradient["id1"] == about(0.0401312 + 0.1 * -2), "from both of its roles"


@pytest.mark.parametrize("alpha", [1e-5, 5e-6])
def test_xpo_leaves_what_the_anchor_does_already(alpha: float) -> None:
    two = group("train", "explored")
    (found,) = examples("explored", two, scored(1.0, 0.0))
    loss_N, gradient = learnt("xpo", [found], two, F1, optimism=alpha)
    assert loss_N.tolist() == [about(0.513015 + alpha * -11)]
    assert gradient["id1"] == about(0.0401312 + alpha), "from both of its roles, downwards"
    three = group("train", "explored", "explored")
    another = replace(found, response_ids=["id0", "id1", "id2"])
    published = learnt("xpo", [another], three, F1 | {"id2": (-40.0, 0.0)}, optimism=alpha)[0]
    assert published.tolist() == [about({1e-5: 0.512615, 5e-6: 0.512815}[alpha])]


def test_xpo_pushes_down_an_explored_response_that_wins_too_but_not_as_far() -> None:
    two = group("explored", "train")
    loss_N, gradient = learnt("xpo", examples("explored", two, scored(1.0, 0.0)), two, F1, optimism=1e-2)
    assert loss_N.tolist() == [about(0.513015 - 0.08)]
    assert gradient == {"id0": about(-0.0401312 + 0.01), "id1": about(0.0401312)}


def test_selm_adds_the_reward_of_the_explored_response() -> None:
    two = group("train", "explored")
    found = examples("explored", two, scored(1.0, 0.0))
    loss_N, _ = learnt("selm", found, two, F1, beta=0.1, alpha=0.5)
    assert loss_N.tolist() == [about(0.513015 + 0.5 * 0.1 * -2)]


def against_opponent(p: float) -> Verdict:
    return Verdict(preferences_KK=((0.5, p), (1 - p, 0.5)))


def test_nash_md_stands_still_where_the_win_rate_pays_for_the_distance() -> None:
    two = group("train", "opponent")
    loss_N, gradient = learnt("nash_md", examples("opponent_win_rate", two, against_opponent(0.7)), two, F1)
    assert (loss_N.tolist(), gradient) == ([about(0.0)], {"id0": about(0.0)})


@pytest.mark.parametrize(("p", "downhill"), [(0.9, 0.2), (0.5, -0.2), (0.1, -0.6)])
def test_nash_md_makes_winners_likelier_and_losers_less_likely(p: float, downhill: float) -> None:
    """A step goes against the gradient: by P - 1/2 - beta * log-ratio."""
    two = group("train", "opponent")
    _, gradient = learnt("nash_md", examples("opponent_win_rate", two, against_opponent(p)), two, F1)
    assert gradient == {"id0": about(-downhill)}


def test_a_step_of_nash_md_is_the_mean_over_draws_however_often_one_came() -> None:
    """Two draws of one answer, at a log-ratio of 2, and one of another at -2: a mean of three terms, not of two."""
    four = samples(
        4,
        purpose=["train", "train", "train", "opponent"],
        tokens_T=[TWENTY[0], TWENTY[0], TWENTY[1], TWENTY[2]],
        loss_mask_T=[[True] * 20] * 4,
    )
    said = Verdict(preferences_KK=tuple((0.5, 0.5, 0.5, p) for p in (0.9, 0.6, 0.3, 0.5)))
    drawn = examples("opponent_win_rate", four, said)
    sums = {"id0": F1["id0"], "id1": F1["id0"], "id2": F1["id1"]}
    _, gradient = learnt("nash_md", drawn, four, sums)
    mean = {id: slope / len(drawn) for id, slope in gradient.items()}
    first, again, other = 0.9 - 0.5 - 0.1 * 2, 0.6 - 0.5 - 0.1 * 2, 0.3 - 0.5 + 0.1 * 2
    assert mean["id0"] + mean["id1"] == about(-(first + again) / 3)
    assert mean["id2"] == about(-other / 3)


def test_upo_smooths_the_labels_of_uncertain_pairs() -> None:
    two = group("train", "train")
    for estimates, alpha in [((0.9, 0.9, 0.9), 0.1), ((0.9, 0.1, 0.5), 0.128343)]:
        said = Verdict(
            preferences_KK=((0.5, 0.6), (0.4, 0.5)),
            repeats_KKS=(((), estimates), (tuple(1 - p for p in estimates), ())),
        )
        found = examples("halves_by_certainty", two, said)
        assert learnt("upo", found, two, F1, nll=0.0)[0].tolist() == [about(0.513015 + alpha * 0.4)]
        loss_N, gradient = learnt("upo", found, two, F1)
        assert loss_N.tolist() == [about(0.513015 + alpha * 0.4 + 8 / 20)]
        assert gradient["id0"] < 0, "the likelihood of the better one rises"


def test_dno_is_learnt_from_the_difference_of_win_rates() -> None:
    five = group(*["train"] * 5)
    found = examples("soft_win_rate", five, compared(1.0, 0.0, -1.0, 2.0, 0.5))
    (one,) = [one for one in found if one.response_ids == ["id3", "id2"]]
    loss_N, _ = learnt("spce", [one], five, {"id3": F1["id0"], "id2": F1["id1"]})
    assert loss_N.tolist() == [about(0.513015 + (1 - 0.666190) * 0.4)]


def test_dno_in_practice_is_learnt_from_clear_pairs() -> None:
    two = group("teacher", "train")
    found = examples("all_pairs", two, scored(5.0, 3.0))
    assert learnt("dpo", found, two, F1)[0].tolist() == [about(0.513015)]


def test_upo_learns_from_no_pair_that_was_judged_once() -> None:
    two = group("train", "train")
    with pytest.raises(Refused, match="does not say how certain it is, which the loss reads"):
        learnt("upo", examples("halves", two, scored(1.0, 0.0)), two, F1)

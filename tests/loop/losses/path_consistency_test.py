"""Losses with a value head over the tokens of one response."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from loop.losses.path_consistency import policy_loss, to_come, value_loss
from tests.loop.losses.steps import TOLERANCES, close, gradients

Tolerance = tuple[torch.dtype, float, float]


def response(ratios: list[float], values: list[float], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return tuple(torch.tensor(one, dtype=dtype, requires_grad=True) for one in (ratios, values))  # type: ignore[return-value]


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("ratios", "values", "residuals", "value"),
    [
        ([0.2, -0.1, 0.4], [0.5, 0.6, 0.8], [-0.485, -0.391, -0.188], 0.141150),
        ([0.2, -0.5, 0.2], [0.4, 0.5, 0.8], [-0.603, -0.509, -0.194], 0.220109),
    ],
)
def test_three_tokens_of_a_right_answer(
    ratios: list[float], values: list[float], residuals: list[float], value: float, tolerance: Tolerance
) -> None:
    ratio_T, value_T = response(ratios, values, tolerance[0])
    of_values, of_policy = value_loss(ratio_T, value_T, 1.0), policy_loss(ratio_T, value_T, 1.0)
    close(of_values, value, tolerance)
    close(of_policy, value, tolerance)
    residual_T = torch.tensor(residuals, dtype=torch.float64)
    by_ratio, by_value = gradients(of_values, [ratio_T, value_T])
    close(by_value, 2 / 3 * residual_T, tolerance)
    assert by_ratio.tolist() == [0, 0, 0]
    by_ratio, by_value = gradients(of_policy, [ratio_T, value_T])
    close(by_ratio, 2 / 3 * 0.03 * residual_T, tolerance)
    assert by_value.tolist() == [0, 0, 0]


def test_what_is_still_to_come_includes_the_token_itself() -> None:
    torch.testing.assert_close(to_come(torch.tensor([0.2, -0.5, 0.2])), torch.tensor([-0.1, -0.3, 0.2]))


def test_divergence_is_a_mean_over_tokens() -> None:
    ratio_T, value_T = response([0.2, -0.1], [0.5, 0.6], torch.float64)
    kl_T = torch.tensor([0.4, 0.2], dtype=torch.float64, requires_grad=True)
    plain, regularised = policy_loss(ratio_T, value_T, 0.0), policy_loss(ratio_T, value_T, 0.0, kl_T=kl_T)
    assert (regularised - plain).item() == pytest.approx(0.01 * 0.3)
    assert gradients(regularised, [kl_T])[0].tolist() == pytest.approx([0.005, 0.005])

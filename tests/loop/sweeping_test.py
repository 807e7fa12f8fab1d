from __future__ import annotations

import pytest

from loop.errors import Refused
from loop.sweeping import points_of


def test_a_sweep_is_every_combination_in_order() -> None:
    assert points_of(["experiment=demo", "seed=0,1", "judge=choice(a,b)"]) == [
        ["experiment=demo", "seed=0", "judge=a"],
        ["experiment=demo", "seed=0", "judge=b"],
        ["experiment=demo", "seed=1", "judge=a"],
        ["experiment=demo", "seed=1", "judge=b"],
    ]


def test_lists_are_values_and_ranges_are_swept() -> None:
    assert points_of(["rollout.stop=[a,b]", "seed=range(0,3)"]) == [
        ["rollout.stop=[a,b]", f"seed={i}"] for i in range(3)
    ]


def test_what_hydra_cannot_parse_is_refused() -> None:
    with pytest.raises(Refused):
        points_of(["seed"])

"""`-m`: Hydra's sweep grammar (`KEY=A,B`, `range(...)`, `choice(...)`) as the list of its points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from loop.errors import Refused


def points_of(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the swept values, each as the overrides of one run; the last key varies fastest."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise Refused(" ".join(str(error).splitlines()[0].split())) from error
    choices = [
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [str(override.input_line)]
        for override in parsed
    ]
    return [list(point) for point in product(*choices)]

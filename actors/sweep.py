"""`ratchet run -m`: Hydra's own multirun, with whatever sweeper and launcher are configured; each point is one run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import hydra
from omegaconf import DictConfig

from actors.launch import launch_config
from loop.composition import refuse_additions, register, typed
from loop.errors import RatchetError
from loop.summary import RunSummary
from loop.validation import validate
from loop.view.sweep import sweep_lines


def sweep(overrides: Sequence[str], as_json: bool) -> int:
    """Run every point, also after one that failed; the exit status of the first that failed."""
    register()
    refuse_additions(overrides)
    statuses: list[int] = []
    summaries: list[RunSummary] = []

    @hydra.main(config_path="pkg://conf", config_name="config", version_base="1.3")
    def point(composed: DictConfig) -> None:
        try:
            summaries.append(launch_config(validate(typed(composed)), as_json))
        except RatchetError as error:
            print(f"ratchet: {error}", file=sys.stderr)
            statuses.append(error.exit_code)

    sys.argv = ["ratchet run", "--multirun", *overrides]
    point()
    print("", *sweep_lines(summaries), sep="\n", file=sys.stderr if as_json else sys.stdout)
    return statuses[0] if statuses else 0

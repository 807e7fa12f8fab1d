"""`ratchet run -m`: one run after another. Every point is composed and checked before the first one starts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from actors.launch import launch_config
from loop.composition import compose
from loop.errors import RatchetError
from loop.summary import RunSummary
from loop.sweeping import points_of
from loop.validation import validate
from loop.view.sweep import sweep_lines


def sweep(overrides: Sequence[str], as_json: bool) -> int:
    """Run every point, also after one that failed; the exit status of the first that failed.

    With `as_json`, standard output gets one list of summaries. Raises: Refused when any point is refused while
    composing.
    """
    configs = [validate(compose(point)) for point in points_of(overrides)]
    statuses: list[int] = []
    summaries: list[RunSummary] = []
    for config in configs:
        try:
            summaries.append(launch_config(config, progress_to_stderr=as_json))
        except RatchetError as error:
            print(f"ratchet: {error}", file=sys.stderr)
            statuses.append(error.exit_code)
    print("", *sweep_lines(summaries), sep="\n", file=sys.stderr if as_json else sys.stdout)
    if as_json:
        print(json.dumps([summary.to_json() for summary in summaries], indent=2))
    return statuses[0] if statuses else 0

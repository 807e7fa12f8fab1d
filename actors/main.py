"""The console script: parses the command line and hands the driver its fleets. Heavy imports wait until they are
needed."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from loop.cli import parse
from loop.errors import RatchetError

INTERRUPTED = 130


def _run(given: Namespace) -> int:
    if given.cfg:
        from actors.launch import show

        return show(given.overrides, given.multirun)
    if given.multirun:
        from actors.sweep import sweep

        return sweep(given.overrides, given.json)
    from actors.launch import launch

    return launch(given.overrides, given.json)


def _resume(given: Namespace) -> int:
    from actors.launch import resume

    return resume(given.run, given.overrides, given.json)


def _scale(given: Namespace) -> int:
    from loop.finding import find_run
    from loop.scale import scale

    for key, number in scale(find_run(given.run), given.overrides).items():
        print(f"asked for {key}={number}")
    return 0


def _inspect(given: Namespace) -> int:
    from loop.view.inspection import inspect

    return inspect(given.run, given.example, given.sql, given.json)


def _report(given: Namespace) -> int:
    from loop.view.reporting import report

    return report(given.runs, given.out, given.json)


def _judge(given: Namespace) -> int:
    from actors.judge_command import judge

    return judge(given.file, given.overrides, given.against, given.limit, given.plot, given.json, attacks=given.attacks)


def _bench(given: Namespace) -> int:
    if given.name == "fleet":
        from actors.bench.fleet import bench_fleet

        return bench_fleet(given.json)
    if given.name == "games":
        from loop.games.bench import bench_games

        return bench_games(given.json, given.plot)
    if given.name == "recipes":
        from actors.bench.recipes import bench_recipes

        return bench_recipes(given.recipes, given.seeds, given.folder, given.plot, given.json)
    from actors.bench.chaos import bench_chaos

    return bench_chaos(given.kills, given.seed, given.folder, given.json)


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "run": _run,
    "resume": _resume,
    "scale": _scale,
    "inspect": _inspect,
    "report": _report,
    "judge": _judge,
    "bench": _bench,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    given = parse(arguments)
    try:
        return COMMANDS[given.command](given)
    except RatchetError as error:
        print(f"ratchet: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        goes_on = "; the same command goes on where it was" if given.command in ("run", "resume") else ""
        print(f"ratchet: interrupted{goes_on}", file=sys.stderr)
        return INTERRUPTED

"""The command line's grammar; what the commands do is elsewhere, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

RUN_EPILOG = """\
examples:
  ratchet run experiment=demo                       three rounds on the small policy, no GPU needed
  ratchet run experiment=osp_smoke                  the small policy ranks its own answers
  ratchet run model.path=MODEL 'prompts.sources=[{path: prompts.jsonl}]' rollout.max_tokens=512
  ratchet run -m experiment=demo seed=0,1,2         one run after another

The same command finds its run again: a finished run prints its summary. Any override that changes what the data
mean gives another run folder.

exit status: 0 complete, 2 bad input, 3 stopped on purpose, 4 infrastructure failed, 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
    """`ratchet COMMAND ...`."""
    top = argparse.ArgumentParser(
        prog="ratchet",
        description="Online and iterative RLHF: a policy improves itself from preferences, round by round.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run the loop",
        description="Run the loop. Settings are Hydra overrides: GROUP=NAME picks a file of conf/, KEY=VALUE a value.",
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="GROUP=NAME or KEY=VALUE")
    run.add_argument("-m", "--multirun", action="store_true", help="sweep: KEY=A,B runs each value")
    run.add_argument("--cfg", action="store_true", help="print the composed configuration and end")
    run.add_argument(
        "--json", action="store_true", help="print the summary as JSON to standard output, all else to standard error"
    )
    return top


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, options and overrides in any order (argparse alone wants overrides in one piece)."""
    top = parser()
    given, rest = top.parse_known_args(arguments)
    if unknown := [word for word in rest if word.startswith("-")]:
        top.error(f"unknown option {unknown[0]}")
    given.overrides = [*given.overrides, *rest]
    return given

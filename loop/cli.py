"""The command line's grammar; what the commands do is elsewhere, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import conf
from loop.recipes import listing

RUN_EPILOG = """\
examples:
  ratchet run experiment=osp                        the small policy improves itself by its own judgement, no GPU needed
  ratchet run experiment=demo algorithm=xpo         another recipe on the same policy, with a verifier
  ratchet run model.path=MODEL 'prompts.sources=[{path: prompts.jsonl}]' rollout.max_tokens=512
  ratchet run -m experiment=osp seed=0,1,2          one run after another

The same command finds its run again: an unfinished run goes on where it was, a finished one prints its summary. Any
override that changes what the data mean gives another run folder.

judge=      @judge@

algorithm=
@algorithm@

exit status: 0 complete, 2 bad input, 3 stopped on purpose, 4 infrastructure failed, 130 interrupted
"""


RUN_HELP = "folder of a run, its name under runs/, or how that begins"

INSPECT_EPILOG = """\
examples:
  ratchet inspect runs/demo-iterative_dpo_nll-verifier-1a2b3c4d
  ratchet inspect demo 5f0c9a                       one example, its answers, judgements and policy versions
  ratchet inspect demo --sql "select round, count(*) from responses group by round"
"""

REPORT_EPILOG = """\
examples:
  ratchet report demo                               writes report.html in the run's folder anew, prints its headline
  ratchet report osp-osp-self-1a2b demo             both runs in one page, curves over each other
"""

JUDGE_EPILOG = """\
examples:
  ratchet judge conf/demo/preferences.jsonl experiment=demo judge=reward_model
  ratchet judge pairs.jsonl judge=llm judge.model=MODEL --against 'judge=verifier judge.rule=math' --plot judges.svg
  ratchet judge conf/demo/preferences.jsonl experiment=demo judge=self --attacks

Each line of FILE holds prompt (text, or a list of turns), chosen and rejected (text, or lists: best of n, and several
right ones in the subset Ties), and may hold subset, id and answer: what RewardBench and RewardBench 2 have.
"""

BENCH_EPILOG = """\
names:
  fleet    what giving work to actors costs, and what reaches the driver
  chaos    a run whose processes are killed again and again, compared with one that nobody disturbed
  games    which methods reach the equilibrium of preferences that are known, by their last policy or only on average
  recipes  every core recipe on the small policy with the same number of samples: what each makes of them

examples:
  ratchet bench recipes --seeds 0                       the core recipes once, in a few minutes
  ratchet bench recipes --recipes osp,sppo --plot recipes.svg
"""


def run_epilog() -> str:
    """Examples, the names that judges have, and a line on each recipe."""
    judges = sorted(file.stem for file in (Path(conf.__file__).parent / "judge").glob("*.yaml"))
    return RUN_EPILOG.replace("@judge@", ", ".join(judges)).replace("@algorithm@", listing())


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
        epilog=run_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="GROUP=NAME or KEY=VALUE")
    run.add_argument("-m", "--multirun", action="store_true", help="sweep: KEY=A,B runs each value")
    run.add_argument("--cfg", action="store_true", help="print the composed configuration and end")
    run.add_argument(
        "--json", action="store_true", help="print the summary as JSON to standard output, all else to standard error"
    )
    resume = commands.add_parser(
        "resume",
        help="go on with a run",
        description="Go on with a run where it was, as the command that began it would. Overrides may change where and "
        "how fast it runs (rollout.replicas, learner.ranks, time-outs), not what its data mean.",
    )
    resume.add_argument("run", metavar="RUN", help=RUN_HELP)
    resume.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="KEY=VALUE")
    resume.add_argument("--json", action="store_true", help="as in `ratchet run`")
    scale = commands.add_parser(
        "scale",
        help="give a running run more or fewer processes",
        description="Change how many engines, judges or learner ranks a running run has: engines and judges at once, "
        "learner ranks when the next round learns.",
    )
    scale.add_argument("run", metavar="RUN", help=RUN_HELP)
    scale.add_argument(
        "overrides", nargs="*", metavar="OVERRIDE", help="rollout.replicas=N, judge.replicas=N, learner.ranks=N"
    )
    inspect = commands.add_parser(
        "inspect",
        help="look into a run",
        description="Show a run's rounds and phases, one example with everything behind it, or the answer to an SQL "
        "query over its tables. Works while the run is going, too; nothing is changed.",
        epilog=INSPECT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inspect.add_argument("run", metavar="RUN", help=RUN_HELP)
    inspect.add_argument("example", nargs="?", metavar="EXAMPLE", help="id of an example, or how it begins")
    inspect.add_argument("--sql", metavar="QUERY", help="DuckDB's SQL; the ledger's tables are views")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    report = commands.add_parser(
        "report",
        help="what runs came to, as a page for a browser",
        description="Write a run's report.html anew (every round does) and print its headline,\n"
        "or compare several runs in one page and a table.\nA page is one file that loads nothing from anywhere.",
        epilog=REPORT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    report.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    report.add_argument(
        "--out", metavar="FILE", help="where the page goes; otherwise into the run's folder, for several runs here"
    )
    report.add_argument("--json", action="store_true", help="print JSON")
    judge = commands.add_parser(
        "judge",
        help="study a judge on preferences that are known",
        description="Ask a judge about a file of preferences, in both orders, and show how good it is: accuracy, "
        "consistency, calibration, length bias, failures, speed and cost. Settings as in `ratchet run`.",
        epilog=JUDGE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    judge.add_argument("file", metavar="FILE", help="preferences: JSON Lines or Parquet")
    judge.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="judge=NAME, GROUP=NAME or KEY=VALUE")
    judge.add_argument(
        "--against", metavar="JUDGE", help="another judge for the same cases: its `judge` overrides in one string"
    )
    judge.add_argument("--limit", type=int, metavar="N", help="ask about N cases, spread evenly over the file")
    judge.add_argument(
        "--attacks",
        nargs="?",
        const="",
        metavar="ATTACKS",
        help="measure instead how often strings at the end of the worse response turn its verdicts: those of a JSON "
        "Lines file (name, kind, text), or ours",
    )
    judge.add_argument("--plot", metavar="FILE", help="draw accuracies and reliability to an SVG or PNG file")
    judge.add_argument("--json", action="store_true", help="print JSON")
    bench = commands.add_parser(
        "bench",
        help="benchmarks: fleet, chaos, games, recipes",
        description="Benchmarks of the product on this machine.",
        epilog=BENCH_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    bench.add_argument(
        "name", choices=["chaos", "fleet", "games", "recipes"], metavar="NAME", help="chaos, fleet, games or recipes"
    )
    bench.add_argument("--json", action="store_true", help="print JSON")
    bench.add_argument("--kills", type=int, default=20, help="chaos: processes to kill (20)")
    bench.add_argument("--seed", type=int, default=0, help="chaos: of moments and victims (0)")
    bench.add_argument("--recipes", metavar="A,B", help="recipes: which ones; all core recipes otherwise")
    bench.add_argument("--seeds", metavar="N,M", default="0,1,2", help="recipes: each runs with all of them (0,1,2)")
    bench.add_argument("--folder", help="chaos, recipes: where the runs are kept; a temporary one otherwise")
    bench.add_argument("--plot", metavar="FILE", help="games, recipes: draw what came out to an SVG or PNG file")
    return top


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, options and overrides in any order (argparse alone wants overrides in one piece)."""
    top = parser()
    given, rest = top.parse_known_args(arguments)
    if unknown := [word for word in rest if word.startswith("-") or "overrides" not in given]:
        top.error(f"unknown {'option' if unknown[0].startswith('-') else 'argument'} {unknown[0]}")
    if rest:
        given.overrides = [*given.overrides, *rest]
    return given

"""Writes what the demo's policy learnt to judge from, as prompts: ``python -m loop.demo.make_judge_set [--out FILE]``.
The same rows every time.

Every verdict question that `train_policy` drew at seed 0, in order: `prompt` is the question as the judge's template
words it, `completion` the verdict's letter. Questions come in twos, the same two answers in both orders; where both
answers are the same text, one question stands there with both verdicts, and a run that reads the file keeps the first.
"""

import argparse
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loop.demo.examples import Example
from loop.demo.train_policy import JUDGE_TEMPLATE, Schedule, draw_examples
from loop.judges.template import load_template

FILE = Path(__file__).resolve().parents[2] / "conf" / "demo" / "judge_set.parquet"
SEED = 0  # that of the shipped policy


def verdicts() -> list[Example]:
    """The verdicts of every step of the policy's training."""
    schedule = Schedule()
    steps = draw_examples(load_template(str(JUDGE_TEMPLATE)).text, schedule, SEED)
    return [one for _, verdicts in islice(steps, schedule.steps) for one in verdicts]


def table() -> pa.Table:
    """The rows of the file: `prompt` and `completion`, both text."""
    drawn = verdicts()
    return pa.table({"prompt": [one.user for one in drawn], "completion": [one.assistant for one in drawn]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FILE, help="the file")
    out: Path = parser.parse_args().out
    pq.write_table(table(), out, compression="zstd", compression_level=19, use_dictionary=False)


if __name__ == "__main__":
    main()

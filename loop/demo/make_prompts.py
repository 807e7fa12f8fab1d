"""Writes the demo's prompt files: ``python -m loop.demo.make_prompts [--out DIR]``. The same files every time."""

import argparse
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from loop.demo.slips import slip
from loop.demo.task import Item, Pool, make_items

PROMPTS = Path(__file__).resolve().parents[2] / "conf" / "demo" / "prompts"
FILES = (("rounds.jsonl", Pool.ROUNDS, 2048), ("held_out.jsonl", Pool.HELD_OUT, 1024))  # name, pool, prompts
SEED = 0


def rows(items: Sequence[Item]) -> list[dict[str, str]]:
    """The fields ``prompt`` and ``answer``."""
    return [{"prompt": item.prompt, "answer": item.answer} for item in items]


def with_given_answers(items: Sequence[Item], seed: int) -> list[dict[str, str]]:
    """Further answers that stand in a file: the right one as ``completion``, ``chosen`` and ``teacher``, one with a
    slip as ``rejected``."""
    rng = random.Random(f"given/{seed}")
    right = ("completion", "chosen", "teacher")
    return [{**row, **dict.fromkeys(right, row["answer"]), "rejected": slip(row["answer"], rng)} for row in rows(items)]


def to_json_lines(rows: Iterable[Mapping[str, str]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def prompt_files() -> dict[str, str]:
    """The text of each file by its name."""
    items = {name: make_items(pool, count, SEED) for name, pool, count in FILES}
    files = {name: to_json_lines(rows(some)) for name, some in items.items()}
    return {**files, "given.jsonl": to_json_lines(with_given_answers(items["rounds.jsonl"], SEED))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PROMPTS, help="folder for the files")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, text in prompt_files().items():
        (out / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

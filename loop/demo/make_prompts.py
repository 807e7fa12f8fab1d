"""Writes the demo's prompt files: ``python -m loop.demo.make_prompts [--out DIR]``. The same files every time."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from loop.demo.task import Item, Pool, make_items

PROMPTS = Path(__file__).resolve().parents[2] / "conf" / "demo" / "prompts"
FILES = (("rounds.jsonl", Pool.ROUNDS, 2048), ("held_out.jsonl", Pool.HELD_OUT, 1024))  # name, pool, prompts
SEED = 0


def to_json_lines(items: Sequence[Item]) -> str:
    """One JSON object a line, with the fields ``prompt`` and ``answer``."""
    return "".join(json.dumps({"prompt": item.prompt, "answer": item.answer}) + "\n" for item in items)


def prompt_files() -> dict[str, str]:
    """The text of each file by its name."""
    return {name: to_json_lines(make_items(pool, count, SEED)) for name, pool, count in FILES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PROMPTS, help="folder for the files")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, text in prompt_files().items():
        (out / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Writes the demo's preference cases, on which a judge can be studied: ``python -m loop.demo.make_preferences [--out
FILE]``. The same file every time.

Subsets: one for each kind of instruction (a right answer and a wrong one), ``Best of 4`` (a right one and three wrong
ones) and ``Ties`` (the same prompt with one right answer, ``ref:N``, and with several that differ in outer white space
only, ``tied:N``). The words are of a pool that the policy never saw judged, and that no round or evaluation uses.
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loop.demo.examples import draw_wrong
from loop.demo.task import KINDS, Item, Pool, make_items

FILE = Path(__file__).resolve().parents[2] / "conf" / "demo" / "preferences.jsonl"
POOL = Pool.DEMONSTRATIONS
SEED = 0
PER_KIND, BEST_OF_4, TIES = 40, 24, 8  # cases, cases, prompts (two cases each)
DISGUISES = ("{}", " {}", "{} ", "{}\n")  # of one right answer


def cases() -> list[dict[str, Any]]:
    """The cases, one dictionary each."""
    rng = random.Random(f"preferences/{SEED}")
    items = iter(make_items(POOL, 20 * PER_KIND, SEED))
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        for item in _of_kind(items, kind, PER_KIND):
            rows.append(_row(item, kind, f"{kind}:{len(rows)}", item.answer, draw_wrong(item.answer, rng)))
    for number in range(BEST_OF_4):
        item = next(items)
        rows.append(_row(item, "Best of 4", f"best:{number}", [item.answer], _wrong(item, 3, rng)))
    for number in range(TIES):
        item = next(items)
        wrong = _wrong(item, 4, rng)
        rows.append(_row(item, "Ties", f"ref:{number}", [item.answer], wrong))
        rows.append(_row(item, "Ties", f"tied:{number}", [as_.format(item.answer) for as_ in DISGUISES], wrong))
    return rows


def text() -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row) + "\n" for row in cases())


def _of_kind(items: Iterator[Item], kind: str, count: int) -> list[Item]:
    found: list[Item] = []
    while len(found) < count:
        item = next(items)
        if item.prompt.startswith(f"{kind}: "):
            found.append(item)
    return found


def _wrong(item: Item, count: int, rng: random.Random) -> list[str]:
    """Different wrong answers."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw_wrong(item.answer, rng)] = None
    return list(found)


def _row(item: Item, subset: str, id: str, chosen: str | list[str], rejected: str | list[str]) -> dict[str, Any]:
    return {
        "id": id,
        "subset": subset,
        "prompt": item.prompt,
        "answer": item.answer,
        "chosen": chosen,
        "rejected": rejected,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FILE, help="the file")
    parser.parse_args().out.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()

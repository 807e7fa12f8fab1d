"""The recipes that there are: their tiers, a line on each, and with which settings each runs on the demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import conf
from loop.errors import Refused, nearest

FOLDER = Path(conf.__file__).parent / "algorithm"
DEMO = Path(conf.__file__).parent / "demo" / "recipes.yaml"

TIERS: Mapping[str, str] = {
    "core": "the methods that the others are variations of",
    "family": "relatives, made of the same parts",
    "sketch": "a part of the method is missing, or a reconstruction",
}
"""How far to trust a recipe. Each names its own in its file's first line: `# tier: core`."""


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A file of `conf/algorithm`: its name, its tier, and what it is in one line (the second of its comment)."""

    name: str
    tier: str
    line: str


@dataclass(frozen=True, slots=True)
class OnDemo:
    """How a recipe runs on the demo: overrides that follow `experiment=demo algorithm=NAME`, and why these. Not every
    one finds `examples` there."""

    overrides: tuple[str, ...]
    why: str
    examples: bool = True


def recipe_file(file: Path) -> RecipeFile:
    """What a recipe's comment says. Raises: Refused where its first two lines are not a tier and a line."""
    first, second, *_ = [*file.read_text(encoding="utf-8").splitlines(), "", ""]
    tier = first.removeprefix("# tier: ")
    if tier == first or tier not in TIERS or not second.startswith("# "):
        raise Refused(f"{file.name}: begins with '# tier: {'|'.join(TIERS)}' and a comment line that says what it is")
    return RecipeFile(file.stem, tier, second.removeprefix("# "))


def recipe_files() -> list[RecipeFile]:
    """Every recipe, by tier and name."""
    found = [recipe_file(file) for file in FOLDER.glob("*.yaml")]
    return sorted(found, key=lambda one: (list(TIERS).index(one.tier), one.name))


def listing() -> str:
    """Every recipe with its line, below its tier."""
    found = recipe_files()
    width = max(len(one.name) for one in found)
    told: list[str] = []
    for tier, meaning in TIERS.items():
        told += [f"  {tier}: {meaning}"]
        told += [f"    {one.name:<{width}}  {one.line}" for one in found if one.tier == tier]
    return "\n".join(told)


def on_demo(names: Sequence[str] = ()) -> dict[str, OnDemo]:
    """How recipes run on the demo, by name; all of those that run there where none are named. Raises: Refused for one
    that does not."""
    from omegaconf import OmegaConf  # slow to import, and `--help` needs none of it

    written = OmegaConf.to_container(OmegaConf.load(DEMO))
    assert isinstance(written, dict), "a mapping by recipe"
    found = {
        str(name): OnDemo(tuple(one["overrides"]), one["why"], one.get("examples", True))
        for name, one in written.items()
    }
    if unknown := [name for name in names if name not in found]:
        raise Refused(f"no recipe named {unknown[0]!r} runs on the demo{nearest(unknown[0], found)}")
    return {name: found[name] for name in names or found}

"""The files of recipes: short, sourced, free of defaults, each in one tier, each accepted on the demo or refused by
its own word."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import MISSING, fields
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from loop.composition import compose
from loop.config import AlgorithmConfig, PlanConfig
from loop.errors import Refused
from loop.losses import ROWS
from loop.pairing import RULES
from loop.recipe import loss_of, rule_of, sampler_of
from loop.recipes import FOLDER, TIERS, listing, on_demo, recipe_file, recipe_files
from loop.replay import DATA
from loop.samplers import STRATEGIES
from loop.samplers.sources import Source
from loop.validation import problems
from tests.loop.golden.kit import recipe

FILES = sorted(FOLDER.glob("*.yaml"))
LINES, WIDTH = 25, 118
SOURCE = re.compile(r"arXiv \d{4}\.\d{5}")

REFUSED = {"dstc": "pairing minimax reads objectives, which no judge gives yet"}
"""Recipes that no run takes yet, and the refusal that their comments announce."""

CORE = {
    *("osp", "dno", "dno_prct", "inpo", "self_rewarding", "meta_rewarding", "iterative_dpo", "online_dpo", "sppo"),
    *("spin", "nash_md", "egpo", "online_ipo", "xpo", "iterative_rpo", "rejection_sampling_sft"),
}


def written(file: Path) -> dict[str, Any]:
    found = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def defaults_of(kind: type) -> dict[str, Any]:
    """The defaults of a dataclass as a file would write them."""
    found = {}
    for field in fields(kind):
        value = field.default if field.default_factory is MISSING else field.default_factory()
        found[field.name] = value.value if isinstance(value, Enum) else value
    return found


def component_defaults(key: str, name: str) -> dict[str, Any]:
    """The options of a component with their defaults."""
    tables: dict[str, Any] = {"loss": ROWS, "pairing": RULES, "sampler": STRATEGIES}
    return dict(DATA[name]) if key == "data" else dict(tables[key][name].options)


def repeats(recipe: dict[str, Any]) -> list[str]:
    """The keys of a recipe's file that say what holds without them."""
    own = defaults_of(AlgorithmConfig)
    found = [key for key, value in recipe.items() if key in own and own[key] == value]
    for key in ("loss", "pairing", "sampler", "data"):
        options = dict(recipe.get(key, {}))
        if name := options.pop("name", None):
            known = component_defaults(key, name)
            found += [f"{key}.{option}" for option, value in options.items() if known.get(option) == value]
    plan = defaults_of(PlanConfig)
    found += [f"plan.{key}" for key, value in recipe.get("plan", {}).items() if plan[key] == value]
    source = defaults_of(Source)
    for entry in recipe.get("others", []):
        found += [f"others.{key}" for key, value in entry.items() if source.get(key) == value]
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_short_sourced_and_says_only_what_differs(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    comment = [line for line in text.splitlines() if line.startswith("#")]
    assert len(text.splitlines()) <= LINES
    assert SOURCE.search("\n".join(comment)), "the comment names a source"
    assert len(recipe_file(file).line) <= WIDTH and recipe_file(file).line.endswith(".")
    assert written(file)["name"] == file.stem
    assert repeats(written(file)) == []


@pytest.mark.parametrize(
    ("recipe", "repeated"),
    [
        ({"name": "x", "k": 8}, ["k"]),
        ({"anchors": ["previous"], "look_ahead": False}, ["anchors", "look_ahead"]),
        ({"start_from": "incumbent", "optimizer": "reset"}, ["start_from"]),
        ({"loss": {"name": "dpo", "beta": 0.1, "nll": 0.5}}, ["loss.beta"]),
        ({"pairing": {"name": "ranked", "link": "logit"}}, ["pairing.link"]),
        ({"data": {"name": "replay", "first": 0.3}}, ["data.first"]),
        ({"plan": {"name": "all_pairs", "repeats": 1}}, ["plan.repeats"]),
        ({"sampler": {"name": "samples"}}, ["sampler"]),
        ({"others": [{"policy": "mixture", "as": "opponent", "weight": 0.125, "draws": 4}]}, ["others.weight"]),
        ({"k": 4, "loss": {"name": "dpo", "beta": 0.2}}, []),
    ],
)
def test_a_repeated_default_is_noticed(recipe: dict[str, Any], repeated: list[str]) -> None:
    assert repeats(recipe) == repeated


def test_every_recipe_is_in_one_tier() -> None:
    tiers = {one.name: one.tier for one in recipe_files()}
    assert len(tiers) == len(FILES) and set(tiers.values()) == set(TIERS)
    assert {name for name, tier in tiers.items() if tier == "core"} == CORE


@pytest.mark.parametrize("text", ["# SPIN: a line\n", "# tier: heart\n# SPIN: a line\n", "# tier: core\nname: x\n"])
def test_a_recipe_without_tier_or_line_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(Refused, match=r"x.yaml: begins with '# tier: core\|family\|sketch'"):
        recipe_file(tmp_path / "x.yaml")


def test_every_recipe_runs_on_the_demo_or_says_why_not() -> None:
    assert set(on_demo()) | set(REFUSED) == {file.stem for file in FILES}
    assert not set(on_demo()) & set(REFUSED)


@pytest.mark.parametrize("name", [file.stem for file in FILES])
def test_a_recipe_composes_with_the_demo_or_is_refused_by_its_own_word(name: str) -> None:
    if name in REFUSED:
        (problem,) = problems(compose(["experiment=demo", f"algorithm={name}"]))
        assert problem == f"algorithm={name}: {REFUSED[name]}"
        assert "Refused: " in (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        return
    demo = on_demo([name])[name]
    config = compose(["experiment=demo", f"algorithm={name}", *demo.overrides])
    assert list(problems(config)) == [] and demo.why
    assert agree_about_their_search(config.algorithm) and agree_about_their_search(recipe(name))


def agree_about_their_search(recipe: AlgorithmConfig) -> bool:
    """Whether a rule that rebuilds a search is told what it was made with."""
    (_, searched, _), (_, told) = sampler_of(recipe), rule_of(recipe)
    return all(
        told[option] == searched.get(option) for option in ("iterations", "depth", "pass_score") if option in told
    )


def test_papers_numbers_stand_in_the_composed_recipe() -> None:
    of = recipe
    assert (of("sppo").k, loss_of(of("sppo")).options["beta"]) == (5, 1e-3)
    assert (of("inpo").k, loss_of(of("inpo")).options["eta"]) == (8, 0.005)
    assert (of("rso").k, loss_of(of("rso")).options["beta"], rule_of(of("rso"))[1]["count"]) == (64, 0.05, 8)
    assert sampler_of(of("egpo"))[2] == {"temperature": 2.0, "top_k": 10}
    assert sampler_of(of("dno_prct"))[2] == {"temperature": 0.7, "top_p": 0.95}
    assert of("spin").data == {"name": "replay", "first": 1.0, "decay": 0.0}
    assert (of("self_rewarding").plan.repeats, of("meta_rewarding").plan.repeats) == (3, 11)


def test_golden_rounds_read_recipes_as_composition_does() -> None:
    for name in ("iterative_dpo_nll", "mcts_dpo"):
        assert compose(["experiment=demo", f"algorithm={name}"]).algorithm == recipe(name)


def test_the_listing_has_a_line_for_every_recipe_below_its_tier() -> None:
    lines = listing().splitlines()
    tiers = [at for at, line in enumerate(lines) if line.strip().split(":")[0] in TIERS]
    assert [lines[at].split(":")[0].strip() for at in tiers] == list(TIERS)
    for one in recipe_files():
        (at,) = [at for at, line in enumerate(lines) if line.split()[:1] == [one.name]]
        assert lines[at].endswith(one.line)
        assert max(tier for tier in tiers if tier < at) == tiers[list(TIERS).index(one.tier)]


def test_help_lists_recipes_without_heavy_imports() -> None:
    script = (
        "import sys, loop.cli; told = loop.cli.run_epilog(); "
        "assert 'SPPO (arXiv' in told and '@' not in told; "
        "print([name for name in ('torch', 'omegaconf', 'hydra', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_recipe_that_does_not_run_on_the_demo_is_refused_by_name() -> None:
    with pytest.raises(Refused, match=r"no recipe named 'sspo' runs on the demo; did you mean .*sppo"):
        on_demo(["sspo"])

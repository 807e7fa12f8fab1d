"""From overrides to a typed configuration: Hydra composes, and whatever it refuses becomes one sentence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import conf
from loop.config import PromptSource, RunConfig
from loop.errors import Refused
from loop.judge_config import BY_KIND, JudgeKind
from loop.judge_files import named_files

CONF = Path(conf.__file__).parent
OPEN = ("algorithm.loss", "algorithm.pairing", "algorithm.data", "algorithm.sampler")
"""Components: a name and that component's own options."""
DICTIONARIES = ("options", "levels")
"""Last names of keys under which any name may stand; validation knows which there are."""
PLACES = ("later_judges.", "judge.members.", "evaluate.judge")
"""Where further judges may be put, as in `+judge@later_judges.NAME=KIND`."""
NO_GROUPS = ("demo", "templates", "calibration")
GROUPS = tuple(sorted(p.name for p in CONF.iterdir() if p.name not in NO_GROUPS and any(p.glob("*.yaml"))))


def register() -> None:
    """Make the schema and the `asset` resolver (a path inside `conf/`) known to Hydra."""
    store = ConfigStore.instance()
    store.store(name="schema", node=RunConfig)
    for kind, schema in BY_KIND.items():
        store.store(group="schema/judge", name=kind.value, node=schema(kind=kind))
    OmegaConf.register_new_resolver("asset", lambda name: str(CONF / name), replace=True)


def typed(composed: DictConfig) -> RunConfig:
    """The composed configuration as dataclasses. Raises: Refused naming the key that is missing or wrong."""
    try:
        return cast(RunConfig, OmegaConf.to_object(composed))
    except OmegaConfBaseException as error:
        raise Refused(sentence_of(error)) from error


def compose(overrides: Sequence[str]) -> RunConfig:
    """Compose the configuration from command-line overrides. Raises: Refused with one sentence naming the override."""
    register()
    GlobalHydra.instance().clear()
    refuse_additions(overrides)
    try:
        with initialize_config_module(config_module="conf", version_base="1.3"):
            opened = [one for one in overrides if _is_open(one)]
            composed = hydra_compose("config", overrides=[one for one in overrides if one not in opened])
            for key, value in _changes(opened):
                OmegaConf.update(composed, key, value, merge=False, force_add=True)
            return typed(composed)
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # Hydra raises bare ValueErrors too
        raise Refused(sentence_of(error)) from error


def with_kinds(loaded: DictConfig) -> DictConfig:
    """The schema that a written configuration fills: each of its judges is of the class that its kind names. Raises:
    Refused when there is no such kind."""
    schema = OmegaConf.structured(RunConfig)

    def typed_as(node: Any) -> Any:
        try:
            judge = OmegaConf.structured(BY_KIND[JudgeKind(node.kind)])
        except (AttributeError, ValueError) as error:
            raise Refused(f"judge.kind: {error}") from error
        if "levels" in (node.get("check") or {}):
            judge.check.levels = {}  # what is written is all there is
        judge.get("members", {}).clear()
        for name, member in (node.get("members") or {}).items():
            judge.members[name] = typed_as(member)
        return judge

    if loaded.get("judge") is not None:
        schema.judge = typed_as(loaded.judge)
    for name, judge in (loaded.get("later_judges") or {}).items():
        schema.later_judges[name] = typed_as(judge)
    if (loaded.get("evaluate") or {}).get("judge") is not None:
        schema.evaluate.judge = typed_as(loaded.evaluate.judge)
    return schema


def override(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """A composed configuration with single keys changed. Raises: Refused naming the key."""
    refuse_additions(overrides)
    if groups := [given for given in overrides if given.split("=", 1)[0] in GROUPS]:
        raise Refused(f"override {groups[0]!r}: a run that goes on keeps its groups; single keys may change")
    opened = [one for one in overrides if _is_open(one)]
    single = [one for one in overrides if one not in opened]
    try:
        merged = OmegaConf.merge(OmegaConf.structured(config), OmegaConf.from_dotlist(single))
        for key, value in _changes(opened):
            OmegaConf.update(merged, key, value, merge=False, force_add=True)
        return typed(merged)  # type: ignore[arg-type]
    except (OmegaConfBaseException, ValueError) as error:
        raise Refused(sentence_of(error)) from error


def spell_out_paths(config: RunConfig) -> None:
    """Make every path that exists here absolute, so that the stored configuration means the same from anywhere."""

    def absolute(path: str) -> str:
        here = Path(path).expanduser()
        return str(here.absolute()) if here.exists() else path

    config.model.path = absolute(config.model.path)
    for source in (*config.prompts.sources, *config.prompts.held_out, *config.prompts.retention):
        source.path = absolute(source.path)
    for file in named_files(config):
        if file.value is not None:
            file.put(absolute(file.value))


def _changes(overrides: Sequence[str]) -> list[tuple[str, Any]]:
    """Keys and values of overrides of components. Another name is another component, which does not take over the
    recipe's options; it comes before the options that are given with it."""
    changes = [(one.key_or_group, one.value()) for one in OverridesParser.create().parse_overrides(list(overrides))]
    whole = [(key, value) for key, value in changes if key in OPEN]
    named = [(key.removesuffix(".name"), {"name": value}) for key, value in changes if key.endswith(".name")]
    return [*whole, *named, *(change for change in changes if change[0] not in OPEN)]


def _is_open(override: str) -> bool:
    """Components take options whether or not the recipe names them (validation knows which there are), and a whole
    component replaces the recipe's. Hydra would refuse the one and merge the other."""
    key = override.split("=", 1)[0]
    if any(key == one or key.startswith(f"{one}.") for one in OPEN):
        return True
    return bool({*DICTIONARIES} & {*key.lstrip("+").split(".")})


def refuse_additions(overrides: Sequence[str]) -> None:
    """Hydra's `+key=value` would add a key that nothing reads. Raises: Refused."""
    for override in overrides:
        key = override.split("=", 1)[0]
        group, _, place = key.lstrip("+").partition("@")
        if group == "judge" and place.startswith(PLACES):
            continue
        if key.startswith("evaluate.judge.") and not any("judge@evaluate.judge=" in one for one in overrides):
            raise Refused(f"override {key!r}: there is no such judge yet, which +judge@evaluate.judge=verifier adds")
        if key.startswith("+") and key.lstrip("+") not in keys():
            raise Refused(_unknown(f"override {key!r}", key.lstrip("+"), keys(), "no such key"))


def sentence_of(error: BaseException) -> str:
    """One sentence for a composition error, with the nearest names when something is unknown."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    for cause in reversed(causes):
        if isinstance(cause, OmegaConfBaseException) and cause.full_key:
            return _about_key(cause)
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if found := re.search(r"Could not find '([\w/]+)/([\w.-]+)'", text):
        return _unknown(f"{found[1]}={found[2]}", found[2], options(found[1]), f"no such {found[1]}")
    if found := re.search(r"Could not override '([\w.]+)'", text):
        return _unknown(f"override {found[1]!r}", found[1], keys(), "no such key")
    return re.sub(r"\s*See https?://\S+.*", "", text)


def _about_key(cause: OmegaConfBaseException) -> str:
    key = str(cause.full_key)
    reason = str(cause.msg or cause).splitlines()[0]
    if "not in" in reason and "Key" in reason:
        return _unknown(f"override {key!r}", key, keys(), "no such key")
    missing = ("MissingMandatory", "InterpolationToMissing")
    if type(cause).__name__.startswith(missing) or "Missing mandatory value" in reason:
        return f"{key} is not set: give it as {key}=VALUE"
    return f"{key}: {reason}"


def _unknown(what: str, name: str, known: Sequence[str], problem: str) -> str:
    if name in known:
        return f"{what}: other kinds have this key, the one that was chosen has not"
    parent, _, leaf = name.rpartition(".")
    siblings = [k for k in known if k.rpartition(".")[0] == parent]
    same_leaf = [k for k in known if k.rpartition(".")[2] == leaf]
    by_leaf = {k.rpartition(".")[2]: k for k in siblings}
    near = [by_leaf[n] for n in difflib.get_close_matches(leaf, by_leaf, n=2, cutoff=0.6)]
    near += same_leaf or difflib.get_close_matches(name, known, n=2, cutoff=0.8)
    candidates = list(dict.fromkeys(near))[:3]
    hint = f"; did you mean {' or '.join(candidates)}?" if candidates else ""
    return f"{what}: {problem}{hint}" + (f" (known: {', '.join(known)})" if len(known) < 30 else "")


def options(group: str) -> list[str]:
    """The names that a group offers."""
    return sorted(p.stem for p in (CONF / group).glob("*.yaml"))


def keys() -> list[str]:
    """Every dotted key of the configuration, and the names of the groups."""
    found: list[str] = list(GROUPS)

    def walk(node: object, prefix: str) -> None:
        if not isinstance(node, DictConfig):
            return
        for name in node:
            dotted = f"{prefix}{name!s}"
            found.append(dotted)
            if not OmegaConf.is_missing(node, name):
                walk(node._get_node(name), dotted + ".")

    walk(OmegaConf.structured(RunConfig), "")
    for schema in BY_KIND.values():
        walk(OmegaConf.structured(schema), "judge.")
    found += [f.name for f in fields(PromptSource)]  # keys of list elements come without a path
    return sorted(set(found))

"""What differs between the configuration that a run's folder holds and the one that was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from loop.composition import sentence_of, typed, with_kinds
from loop.config import RunConfig
from loop.errors import Refused
from loop.identity import meaning
from loop.judge_files import named_files

CONFIG = "config.yaml"
"""The composed configuration in a run's folder."""

SHOWN = 6
"""Differences spelled out; the others are counted."""

LONGEST = 60
"""Characters of a value that are shown."""

CONTEXT = 12
"""Characters before the first one that differs, where two long values begin alike."""


def difference(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Lines like `learner.lr: 0.001 -> 0.002`, one per key that differs, in the order of the keys. Both sides are plain
    data, such as `loop.identity.meaning` gives."""
    before, after = dict(_flat(held)), dict(_flat(wanted))
    keys = [*before, *(key for key in after if key not in before)]
    nothing = object()
    changed = [key for key in keys if before.get(key, nothing) != after.get(key, nothing)]
    return [f"{key}: {_change(_shown(before, key), _shown(after, key))}" for key in changed]


def differing(many: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """The keys whose values are not the same everywhere, in the order of the keys, each with its value in each of them.
    Plain data as for `difference`."""
    flat = [dict(_flat(one)) for one in many]
    keys = dict.fromkeys(key for one in flat for key in one)
    values = [(key, [_shown(one, key) for one in flat]) for key in keys]
    return [(key, list(map(_cut, some))) for key, some in values if len(set(some)) > 1]


def held_config(folder: Path) -> RunConfig:
    """The configuration with which the run of a folder began. Raises: Refused when there is none that this version of
    the program understands."""
    path = folder / CONFIG
    try:
        loaded = OmegaConf.load(path)
    except FileNotFoundError as error:
        raise Refused(f"{folder} is not the folder of a run: it has no {CONFIG}") from error
    except (YAMLError, OSError) as error:
        raise Refused(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(loaded, DictConfig):
        raise Refused(f"{path} is not the configuration of a run")
    try:
        return typed(_merged(loaded))
    except Refused as error:
        raise Refused(f"{path} was written by another version of ratchet ({error})") from error


def refusal(folder: Path, identity: str, config: RunConfig, prompts_digest: str, model_digest: str) -> Refused:
    """Why a folder that holds the run of another identity is not used, with what differs and what to do about it."""
    held = json.loads((folder / "run.json").read_text())
    found = _differences(folder, held, config, prompts_digest, model_digest)
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return Refused(
        f"folder={folder} holds the run of another identity ({held['identity'][:8]}, this one is {identity[:8]}): "
        f"{'; '.join(found[:SHOWN])}{more}. Drop what you changed to go on with that run, or leave `folder` out so "
        "that this one gets its own"
    )


def _differences(
    folder: Path, held: Mapping[str, Any], config: RunConfig, prompts_digest: str, model_digest: str
) -> list[str]:
    try:
        before = held_config(folder)
    except Refused as error:
        return [str(error)]
    contents = {file.key: file.content() for file in named_files(before)}
    same = {file.key: file.value for file in named_files(config) if contents.get(file.key) == file.content()}
    _alike(before, same)
    found = difference(meaning(before), meaning(config))
    if before.parent != config.parent:
        found.append(f"parent: {_change(_value(before.parent), _value(config.parent))}")
    if held.get("prompts", prompts_digest) != prompts_digest:
        found.append("the prompts' content")
    if held.get("model", model_digest) != model_digest:
        found.append(_path_change("the model's content", before.model.path, config.model.path))
    files = [file for file in named_files(config) if file.value and Path(file.value).exists()]
    return found or [f"the content of {file.value} ({file.key})" for file in files] or ["content that no key names"]


def _alike(held: RunConfig, same: Mapping[str, str | None]) -> None:
    """Files with the same content under another path are no difference: the identity knows the content."""
    for file in named_files(held):
        if (value := same.get(file.key)) is not None:
            file.put(value)


def _path_change(what: str, before: str, after: str) -> str:
    return what if before == after else f"{what} (model.path: {before} -> {after})"


def _merged(loaded: DictConfig) -> DictConfig:
    """The file's keys over the defaults of this version. Raises: Refused."""
    try:
        merged = OmegaConf.merge(with_kinds(loaded), loaded)
    except OmegaConfBaseException as error:
        raise Refused(sentence_of(error)) from error
    assert isinstance(merged, DictConfig)
    return merged


def _flat(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its key as an override spells it, `prompts.sources[0].weight`; lists of values are leaves."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _flat(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list) and any(isinstance(item, Mapping) for item in node):
        for at, item in enumerate(node):
            yield from _flat(item, f"{key}[{at}]")
    else:
        yield key, node


def _shown(flat: Mapping[str, Any], key: str) -> str:
    return _value(flat[key]) if key in flat else "not there"


def _value(value: Any) -> str:
    """A value as one would write it in an override."""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _change(before: str, after: str) -> str:
    """Both values, cut where they are long; what long ones begin with in common is left out."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False))
    same = len(list(alike)) if max(len(before), len(after)) > LONGEST else 0
    return " -> ".join(_cut(f"...{text[same - CONTEXT :]}" if same > CONTEXT else text) for text in (before, after))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."

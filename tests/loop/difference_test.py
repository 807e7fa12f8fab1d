from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from loop.composition import compose
from loop.config import PromptSource, RunConfig
from loop.difference import difference, held_config, refusal
from loop.errors import Refused
from loop.identity import meaning
from loop.judge_config import JudgeKind, SelfConfig, VerifierConfig, VerifierRule


@pytest.fixture(scope="module")
def demo() -> RunConfig:
    return compose(["experiment=demo"])


@pytest.fixture
def config(demo: RunConfig) -> RunConfig:
    return copy.deepcopy(demo)


def keep(folder: Path, config: RunConfig) -> Path:
    """What a run's folder holds of its configuration."""
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.structured(config)))
    (folder / "run.json").write_text(json.dumps({"identity": "a" * 32, "prompts": "p", "model": "m"}))
    return folder


def refused(folder: Path, config: RunConfig, prompts: str = "p", model: str = "m") -> str:
    return str(refusal(folder, "b" * 32, config, prompts, model))


def test_a_changed_value_is_one_line_that_names_its_key(config: RunConfig) -> None:
    held = meaning(config)
    config.learner.lr = 0.002
    config.rollout.replicas = 7  # only how fast
    assert difference(held, meaning(config)) == ["learner.lr: 0.001 -> 0.002"]
    assert difference(held, held) == []


def test_values_are_shown_as_one_would_write_them(config: RunConfig) -> None:
    held = meaning(config)
    config.prompts.system = "x" * 100
    config.judge.rule = VerifierRule.math
    config.rollout.stop = ["\n\n"]
    config.prompts.sources = [PromptSource("one", 2.0), PromptSource("two")]
    assert difference(held, meaning(config)) == [
        "prompts.sources[0].weight: 1.0 -> 2.0",
        f"prompts.system: null -> {'x' * 57}...",
        "judge.rule: exact -> math",
        r'rollout.stop: [] -> ["\n\n"]',
        "prompts.sources[1].weight: not there -> 1.0",
        "prompts.sources[1].split: not there -> train",
    ]


def test_the_held_configuration_is_the_one_that_was_written(tmp_path: Path, config: RunConfig) -> None:
    config.seed, config.learner.lr = 5, 3e-4
    assert held_config(keep(tmp_path, config)) == config


def test_a_key_that_came_later_has_its_default(tmp_path: Path, config: RunConfig) -> None:
    written = OmegaConf.structured(config)
    OmegaConf.set_struct(written, False)
    plain = OmegaConf.to_container(written, enum_to_str=True)
    assert isinstance(plain, dict)
    del plain["fleet"]
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(plain))
    assert held_config(tmp_path) == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is not the folder of a run: it has no config.yaml"),
        ("- a\n", "is not the configuration of a run"),
        ("a: [", "cannot be read"),
        ("learning_rate: 1\n", "was written by another version of ratchet"),
        ("learner: {lr: fast}\n", "was written by another version of ratchet .learner.lr"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(Refused, match=said):
        held_config(tmp_path)


def test_the_refusal_names_the_differences_and_the_way_out(tmp_path: Path, config: RunConfig) -> None:
    keep(tmp_path, config)
    config.learner.lr = 0.002
    sentence = refused(tmp_path, config, prompts="other")
    assert "holds the run of another identity (aaaaaaaa, this one is bbbbbbbb)" in sentence
    assert "learner.lr: 0.001 -> 0.002; the prompts' content. Drop what you changed" in sentence
    assert "leave `folder` out" in sentence
    assert "model" not in sentence.replace(str(tmp_path), "")


def test_many_differences_are_cut_and_counted(tmp_path: Path, config: RunConfig) -> None:
    keep(tmp_path, config)
    for at, name in enumerate(["lr", "eps", "weight_decay", "warmup", "epochs", "batch_examples", "max_bad_steps"]):
        setattr(config.learner, name, 100 + at)
    config.parent = "other@3"
    sentence = refused(tmp_path, config)
    assert sentence.count(" -> ") == 6 and "; and 2 more." in sentence


def test_the_refusal_says_which_content_changed(tmp_path: Path, config: RunConfig) -> None:
    keep(tmp_path, config)
    assert "the model's content." in refused(tmp_path, config, model="other")
    config.model.path = "/models/other"
    assert "-> /models/other)" in refused(tmp_path, config, model="other")
    config.parent = "other@3"
    assert "parent: null -> other@3" in refused(tmp_path, config)


def test_a_template_counts_by_its_text(tmp_path: Path, config: RunConfig) -> None:
    assert isinstance(config.judge, VerifierConfig)
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("which?")
    config.judge = SelfConfig(name="self", kind=JudgeKind.self, template=str(one))
    keep(tmp_path, config)
    assert f"the content of {one} (judge.template)" in refused(tmp_path, config)
    config.judge.template = str(other)
    other.write_text("which?")
    config.seed = 9
    assert "seed: 0 -> 9. Drop" in refused(tmp_path, config)
    other.write_text("which one?")
    assert re.search(r"judge.template: .*one.txt -> .*other.txt. Drop", refused(tmp_path, config))


def test_long_values_are_cut_to_where_they_differ() -> None:
    assert difference({"a": "x" * 100 + "1"}, {"a": "x" * 100 + "2"}) == ["a: ...xxxxxxxxxxxx1 -> ...xxxxxxxxxxxx2"]


def test_a_configuration_of_another_version_is_still_refused_with_a_reason(tmp_path: Path, config: RunConfig) -> None:
    keep(tmp_path, config)
    (tmp_path / "config.yaml").write_text("learning_rate: 1\n")
    assert "was written by another version of ratchet" in refused(tmp_path, config)

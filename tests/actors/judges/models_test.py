"""What is known and refused before a judge's model is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from actors.judges.models import CLASSIFIER, by_length, load_model, model_config, model_version, pooled_tokens
from loop.errors import Refused
from loop.judge_config import HostedConfig
from tests.actors.judges import kit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(kit.classifier(tmp_path_factory.mktemp("models") / "classifier"))


def test_a_version_follows_the_content_of_a_folder_and_the_name_and_revision_on_a_hub(
    tmp_path: Path, folder: Path
) -> None:
    other = kit.classifier(tmp_path / "other", seed=1)
    assert len(model_version(str(folder), None)) == 8
    assert model_version(str(folder), None) != model_version(other, None)
    assert model_version(other, None) == model_version(kit.classifier(tmp_path / "again", seed=1), None)
    assert (model_version("o/n", None), model_version("o/n", "v2")) == ("o/n", "o/n@v2")


def test_a_model_with_another_head_is_refused() -> None:
    with pytest.raises(Refused, match="is Qwen2ForCausalLM, and this judge takes a model ForSequenceClassification"):
        model_config(kit.hosted(HostedConfig, kit.DEMO), CLASSIFIER)


def test_a_longer_input_than_the_model_has_positions_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"judge\.max_context=257 is more than the 256 positions"):
        model_config(kit.hosted(HostedConfig, str(folder), max_context=257), CLASSIFIER)
    stretched = {"rope_theta": 1e4, "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 256}
    path = kit.classifier(tmp_path, rope_parameters=stretched)
    model_config(kit.hosted(HostedConfig, path, max_context=512), CLASSIFIER)


def test_a_folder_without_safetensors_or_configuration_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(Refused, match="holds no safetensors"):
        model_config(kit.hosted(HostedConfig, str(tmp_path)), CLASSIFIER)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(Refused, match=r"cannot be loaded: .*config\.json"):
        model_config(kit.hosted(HostedConfig, str(tmp_path)), CLASSIFIER)


def test_a_checkpoint_without_the_head_is_refused_instead_of_scoring_at_random(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["score.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(Refused, match=r"lacks the weights score\.weight"):
        load_model(AutoModelForSequenceClassification, kit.hosted(HostedConfig, str(tmp_path)), CLASSIFIER)


def test_padding_at_an_inputs_end_is_not_read() -> None:
    assert pooled_tokens([0, 5, 0, 7, 0, 0], 0) == [0, 5, 0, 7]
    assert pooled_tokens([5, 0], None) == [5, 0]
    assert pooled_tokens([0, 0], 0) == [0]


def test_batches_hold_every_input_once_the_longest_first() -> None:
    assert by_length([3, 9, 4, 9, 1], 2) == [[1, 3], [2, 0], [4]]
    assert by_length([], 2) == []

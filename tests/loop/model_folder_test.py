from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from loop.composition import CONF
from loop.config_types import DType
from loop.errors import Refused
from loop.model_folder import weight_bytes


def test_bytes_follow_from_shapes_and_the_format_wanted(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5, dtype=torch.bfloat16)}, tmp_path / "one.safetensors")
    save_file({"c": torch.zeros(2)}, tmp_path / "two.safetensors", metadata={"format": "pt"})
    assert weight_bytes(tmp_path, DType.float32) == 4 * (12 + 5 + 2)
    assert weight_bytes(tmp_path, DType.bfloat16) == 2 * (12 + 5 + 2)


def test_the_demo_policy_has_its_size() -> None:
    assert weight_bytes(CONF / "demo" / "policy", DType.float32) == 4 * 632_960


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(Refused, match="safetensors"):
        weight_bytes(tmp_path, DType.float32)

"""What a model's folder holds, read without loading it."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

from loop.config_types import DType
from loop.errors import Refused

BYTES = {DType.float32: 4, DType.bfloat16: 2}


def weight_bytes(folder: Path, dtype: DType) -> int:
    """Bytes of all weights in the number format `dtype`, from the headers of the safetensors files.

    Raises: Refused when there are none: other formats would have to be unpickled.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise Refused(f"model.path={folder} holds no *.safetensors file; other weight formats are not read")
    return sum(_elements(file) for file in files) * BYTES[dtype]


def _elements(file: Path) -> int:
    """Elements of all tensors of a file: a header of little-endian length and JSON (safetensors' format)."""
    with open(file, "rb") as handle:
        (length,) = struct.unpack("<Q", handle.read(8))
        header = json.loads(handle.read(length))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")

"""What all parts of the configuration share."""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from typing import Any


def elsewhere(default: Any) -> Any:
    """A field that changes where or how fast a run happens, never what its data mean."""
    return field(default=default, metadata={"identity": False})


class DType(Enum):
    """Number format of weights and activations."""

    float32 = "float32"
    bfloat16 = "bfloat16"

"""Keeps secrets out of what leaves the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")


def without_secrets(told: Any, environment: Mapping[str, str]) -> Any:
    """Plain data with the value of every secret environment variable replaced by *** in all its texts."""
    held = [value for name, value in environment.items() if name.upper().endswith(SECRET_NAMES) and len(value) >= 8]

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: clean(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(inner) for inner in value]
        if isinstance(value, str):
            for secret in held:
                value = value.replace(secret, "***")
        return value

    return clean(told)

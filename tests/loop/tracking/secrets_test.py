"""Secrets are found anywhere in plain data."""

from __future__ import annotations

from typing import Any

from loop.tracking.secrets import without_secrets


def test_secrets_are_found_anywhere_in_a_text() -> None:
    environment = {"MY_PASSWORD": "correct horse", "SHORT_KEY": "abc", "PATH": "/usr/local/bin"}
    config: dict[str, Any] = {"a": [{"b": "x correct horse y"}], "c": "abc /usr/local/bin", "d": 3, "e": None}
    clean = without_secrets(config, environment)
    assert clean == {"a": [{"b": "x *** y"}], "c": "abc /usr/local/bin", "d": 3, "e": None}
    assert without_secrets("correct horses", environment) == "***s"

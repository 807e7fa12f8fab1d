"""wandb without a network, and with a home of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loop.tracking.kit import alone


@pytest.fixture
def wandb_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """wandb with a home of its own and no login."""
    import wandb

    for name, value in alone(tmp_path / "home").items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    wandb.teardown()
    yield monkeypatch
    wandb.teardown()

"""A server and a time for the tests of clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.loop.judges.remote.clients import FakeTime
from tests.loop.judges.remote.stub_server import StubServer


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server

"""What all tests share: threads are pinned, and a test that could not run is named at the end instead of vanishing."""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest  # noqa: E402  threads are pinned before anything is imported
from hypothesis import settings  # noqa: E402

# A busy machine is slow, not wrong; and the same code gives the same result in every run.
settings.register_profile("ratchet", deadline=None, derandomize=True)
settings.load_profile("ratchet")

REQUIRE_ALL = "RATCHET_REQUIRE_ALL_TESTS"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List skipped tests by name and reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("not run")
        for report in skipped:
            terminalreporter.line(f"not run: {report.nodeid}: {report.longrepr[2]}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With RATCHET_REQUIRE_ALL_TESTS set, a test that was not run fails the session."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get(REQUIRE_ALL) and reporter is not None and reporter.stats.get("skipped") and not exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

"""Looks at a run's pulse every few seconds, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from loop.pulse import Pulse
from loop.tracking.metrics import sample_metrics

SAMPLE_S = 5.0


class Sampler:
    """Gives a row of metrics to `log` every `every_s` seconds until it is stopped; `begun`: seconds that were sampled
    before, where the axis goes on."""

    def __init__(
        self, pulse: Pulse, log: Callable[[dict[str, float]], None], begun: float, every_s: float = SAMPLE_S
    ) -> None:
        self._pulse = pulse
        self._log = log
        self._begun = begun
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; when this returns, nothing more is logged."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        started = at = time.monotonic()
        before = self._pulse.read()
        while not self._stopped.wait(self._every_s):
            now, reading = time.monotonic(), self._pulse.read()
            self._log(sample_metrics(reading, before, self._begun + now - started, now - at))
            at, before = now, reading

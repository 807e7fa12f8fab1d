"""Plain lines: for files, pipes and terminals that cannot draw."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from loop.pulse import Pulse
from loop.summary import RoundSummary, RunSummary
from loop.view.closing import closing
from loop.view.progress import Meter
from loop.view.protocol import Phase
from loop.view.pulse_lines import pulse_lines
from loop.view.table import RUNNING, Column, fitting, gated, header, row
from loop.view.text import Line, labelled, plain, visible

QUIET_S = 10.0  # at most one line of progress per phase in so many seconds


class PlainPhase:
    """A phase that reports from time to time."""

    def __init__(self, meter: Meter, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._meter = meter
        self._write = write
        self._clock = clock
        self._reported = meter.started

    def advance(self, n: int, **stats: float | str) -> None:
        """Count, and write a line if the last one is old enough and the phase goes on."""
        self._meter.advance(n, stats)
        now = self._clock()
        if now - self._reported >= QUIET_S and self._meter.done != self._meter.total:
            self._reported = now
            self._write(self._meter.under_way(now))

    def resume(self, n: int) -> None:
        """Count what was there; the last line tells."""
        self._meter.resume(n)


class PlainView:
    """A `View` that only ever appends lines."""

    def __init__(self, file: TextIO, width: int = 100, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._width = width
        self._clock = clock
        self._pulse: Pulse | None = None
        self._columns: Sequence[Column] = ()

    def banner(self, lines: Sequence[tuple[str, str]]) -> None:
        """Facts about the run."""
        self._write_all([*labelled(lines, self._width), ()])

    @contextmanager
    def phase(self, round: int, name: str, total: int, unit: str) -> Iterator[Phase]:
        """A line at the start, one at the end, few in between."""
        meter = Meter(round, name, total, unit, self._clock())
        self._write(meter.begun())
        try:
            yield PlainPhase(meter, self._progressed, self._clock)
        except BaseException:
            self._write(meter.broken_off(self._clock()))
            raise
        self._write(meter.ended(self._clock()))

    def live(self, pulse: Pulse) -> None:
        """The pulse follows a line of progress."""
        self._pulse = pulse

    def round_done(self, summary: RoundSummary, initial: RoundSummary) -> None:
        """The row with its header: the rows before it lie far above, among the lines of phases."""
        self._columns = columns = fitting(gated(RUNNING, summary, self._columns), self._width)
        self._write_all([(), *header(columns), row(columns, summary, initial)])
        self._write("")

    def notice(self, sentence: str) -> None:
        """A sentence of its own."""
        self._write(f"note: {visible(sentence)}")

    def final(self, summary: RunSummary, folder: Path) -> None:
        """The final summary."""
        self._write_all(closing(summary, folder, self._width))

    def close(self) -> None:
        """Nothing to restore."""

    def _progressed(self, line: str) -> None:
        self._write(line)
        if self._pulse is not None:
            self._write_all((("  ", ""), *told) for told in pulse_lines(self._pulse.read(), self._width - 2))

    def _write(self, line: str) -> None:
        print(line, file=self._file, flush=True)

    def _write_all(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._write(plain(line))

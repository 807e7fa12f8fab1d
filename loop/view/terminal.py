"""Progress bars and a coloured table that grows, through rich."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.table import Column
from rich.text import Text

from loop.pulse import Pulse
from loop.summary import RoundSummary, RunSummary
from loop.view.closing import closing
from loop.view.progress import Meter
from loop.view.protocol import Phase
from loop.view.pulse_lines import pulse_lines
from loop.view.table import RUNNING, fitting, gated, header, row
from loop.view.table import Column as Shown
from loop.view.text import Line, Tone, clock, labelled, visible, wrapped

STYLES: dict[Tone, str] = {"": "", "dim": "dim", "strong": "bold", "good": "green", "bad": "red", "attention": "yellow"}
REFRESH_PER_S = 4.0  # drawing must not take a core from the engines
HEADER_EVERY = 20  # rows


class MeterColumn(ProgressColumn):
    """A text computed from a phase's meter and the time it has taken."""

    def __init__(self, text: Callable[[Meter, float], str], style: str = "", right: bool = False) -> None:
        super().__init__(Column(no_wrap=True, justify="right" if right else "left"))
        self._text = text
        self._style = style

    def render(self, task: Task) -> Text:
        """The cell of one phase."""
        meter: Meter = task.fields["meter"]
        return Text(self._text(meter, meter.started + (task.elapsed or 0.0)), style=self._style)


class PhasesAndPulse(Progress):
    """Bars, and the pulse of the run under them."""

    pulse: Pulse | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        """All that is drawn."""
        yield self.make_tasks_table(self.tasks)
        if self.pulse is not None:
            for line in pulse_lines(self.pulse.read(), self.console.width - 1):
                yield _text(line)


class TerminalPhase:
    """A phase drawn as a bar."""

    def __init__(self, meter: Meter, progress: Progress, task: TaskID) -> None:
        self._meter = meter
        self._progress = progress
        self._task = task

    def advance(self, n: int, **stats: float | str) -> None:
        """Count; the next refresh shows it."""
        self._meter.advance(n, stats)
        self._progress.advance(self._task, n)

    def resume(self, n: int) -> None:
        """Count what was there; the bar jumps."""
        self._meter.resume(n)
        self._progress.advance(self._task, n)


class TerminalView:
    """A `View` for a terminal: finished rounds are rows that scroll up, the phases of the running one are bars below.

    The bars of a round, finished ones included, vanish when its row appears; the row carries their seconds.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: PhasesAndPulse | None = None
        self._pulse: Pulse | None = None
        self._columns: Sequence[Shown] = ()
        self._rows = 0

    def banner(self, lines: Sequence[tuple[str, str]]) -> None:
        """Facts about the run."""
        self._print([*labelled(lines, self._console.width), ()])

    @contextmanager
    def phase(self, round: int, name: str, total: int, unit: str) -> Iterator[Phase]:
        """A bar; a phase that fails leaves a line that says how far it came."""
        progress = self._live()
        meter = Meter(round, name, total, unit, progress.get_time())
        task = progress.add_task("", total=total or None, meter=meter)
        try:
            yield TerminalPhase(meter, progress, task)
        except BaseException:
            progress.remove_task(task)
            self._print([((meter.broken_off(progress.get_time()), "attention"),)])
            raise
        progress.update(task, total=max(meter.done, 1), completed=max(meter.done, 1))
        progress.stop_task(task)
        progress.refresh()

    def live(self, pulse: Pulse) -> None:
        """The pulse is drawn under the bars."""
        self._pulse = pulse

    def round_done(self, summary: RoundSummary, initial: RoundSummary) -> None:
        """The row of the round instead of its bars."""
        self._drop_phases(summary.round)
        columns = fitting(gated(RUNNING, summary, self._columns), self._console.width)
        self._print([] if self._rows % HEADER_EVERY and columns == self._columns else header(columns))
        self._rows, self._columns = self._rows + 1, columns
        self._print([row(columns, summary, initial)])

    def notice(self, sentence: str) -> None:
        """An indented sentence that leaves the table readable."""
        self._print((("       " + part, "attention"),) for part in wrapped(visible(sentence), self._console.width - 7))

    def final(self, summary: RunSummary, folder: Path) -> None:
        """The final summary; nothing is drawn after it."""
        self.close()
        self._print([(), *closing(summary, folder, self._console.width)])

    def close(self) -> None:
        """Remove the bars and show the cursor again."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _live(self) -> PhasesAndPulse:
        if self._progress is None:
            self._progress = _new_progress(self._console)
            self._progress.pulse = self._pulse
            self._progress.start()
        return self._progress

    def _drop_phases(self, round: int) -> None:
        if self._progress is None:
            return
        for task in self._progress.tasks:
            if task.fields["meter"].round <= round and task.stop_time is not None:
                self._progress.remove_task(task.id)
        if not self._progress.tasks:
            self.close()

    def _print(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._console.print(_text(line), soft_wrap=True, highlight=False)


def _text(line: Line) -> Text:
    return Text.assemble(*((span, STYLES[tone]) for span, tone in line), no_wrap=True)


def _new_progress(console: Console) -> PhasesAndPulse:
    return PhasesAndPulse(
        MeterColumn(lambda meter, now: meter.label()),
        BarColumn(
            20 if console.width >= 100 else 10, complete_style="default", finished_style="dim", pulse_style="dim"
        ),
        MeterColumn(lambda meter, now: meter.amount(), right=True),
        MeterColumn(lambda meter, now: meter.rate(now), right=True),
        MeterColumn(lambda meter, now: clock(now - meter.started), style="dim", right=True),
        MeterColumn(lambda meter, now: meter.stats_text(), style="dim"),
        console=console,
        refresh_per_second=REFRESH_PER_S,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=sys.stderr.isatty(),
    )

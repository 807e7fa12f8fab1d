"""Plots as SVG markup. Colours, fonts and strokes come from the page's style sheet, so that a plot follows the reader's
light or dark scheme; shapes and dashes tell the same as the colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from markupsafe import Markup

from loop.report.plots import Bars, Curves, Histograms, Plot, Point, Series
from loop.report.scale import Scale, extent, tick_label, ticks
from loop.report.text import shown
from loop.view.text import duration, number, percent

WIDTH = 360
LEFT, RIGHT, BOTTOM = 46, 18, 36
HEIGHT = 190
ROW = 16
CHARACTER = 5.9
"""Mean width of a character of a label."""

PALETTE = 6
"""Colours and shapes, after which they begin again."""

TOLD = 12
"""Points spelled out in a plot's description."""


def draw(plot: Plot) -> Markup:
    """A plot as an `<svg>` element with a title and a description."""
    if isinstance(plot, Curves):
        return _curves(plot)
    return _bars(plot) if isinstance(plot, Bars) else _histograms(plot)


def _svg(plot: Plot, height: float, description: str, parts: Iterable[Markup]) -> Markup:
    head = Markup(
        '<svg viewBox="0 0 {} {:.0f}" role="img" aria-labelledby="{key}-t {key}-d">'
        '<title id="{key}-t">{}</title><desc id="{key}-d">{}</desc>'
    ).format(WIDTH, height, shown(plot.title, 200), shown(description, 4000), key=plot.key)
    return head + Markup("").join(parts) + Markup("</svg>")


def _text(x: float, y: float, text: str, anchor: str = "", extra: str = "") -> Markup:
    kind = " ".join(part for part in (anchor, extra) if part)
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>').format(x, y, kind, shown(text, 80))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, kind)


def _legend(entries: Sequence[tuple[Markup, str]]) -> tuple[list[Markup], float]:
    """Keys with their names in as many rows as they need, from the top; the height that they take. A key is drawn
    around (0, 0)."""
    made: list[Markup] = []
    x, y = 12.0, 10.0
    for mark, name in entries:
        width = 28 + CHARACTER * min(len(name), 52)
        if x > 12.0 and x + width > WIDTH:
            x, y = 12.0, y + ROW
        made.append(Markup('<g transform="translate({:.1f} {:.1f})">{}</g>').format(x, y, mark))
        made.append(_text(x + 12, y + 4, shown(name, 52)))
        x += width
    return made, y + 12 if entries else 6.0


def _shape(colour: int, x: float = 0.0, y: float = 0.0) -> Markup:
    """A series' mark: circle, square, triangle, diamond, bar or ring."""
    hue, kind = colour % PALETTE, (colour + colour // PALETTE) % PALETTE
    if kind in (0, 5):
        return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.4" class="m c{}{}"/>').format(
            x, y, hue, " hollow" if kind == 5 else ""
        )
    path = ("", "-3-3h6v6h-6z", "0-4l4 7h-8z", "0-4.4l4.4 4.4-4.4 4.4-4.4-4.4z", "-4-1.5h8v3h-8z")[kind]
    return Markup('<path d="M{:.1f} {:.1f}m{}" class="m c{}"/>').format(x, y, path, hue)


def _cross(colour: int, x: float = 0.0, y: float = 0.0) -> Markup:
    return Markup('<path d="M{:.1f} {:.1f}m-4-4l8 8m0-8l-8 8" class="x c{}"/>').format(x, y, colour % PALETTE)


def _curves(plot: Curves) -> Markup:
    points = [point for one in plot.series for point in one.points]
    entries = [(_shape(one.colour), one.name) for one in plot.series] if len(plot.series) > 1 else []
    if any(point.crossed for point in points):
        entries.append((_cross(0 if len(plot.series) == 1 else PALETTE - 1), plot.crosses))
    parts, top = _legend(entries)
    bottom = top + HEIGHT - BOTTOM
    across = [value for point in points for value in (point.y, point.low, point.high) if value is not None]
    if plot.level is not None:
        across.append(plot.level)
    if plot.from_zero:
        across.append(0.0)
    bounds = (0.0, 1.0) if plot.unit == "percent" else (0.0 if min(across) >= 0 else None, None)
    y = Scale(*extent(across, *bounds), bottom, top)
    rounds = plot.x_label == "round"
    along = [point.x for point in points]
    x_bounds = (0.0 if min(along) >= 0 and not rounds else None, 1.0 if plot.x_unit == "percent" else None)
    x = Scale(*extent(along, *x_bounds), LEFT, WIDTH - RIGHT)
    parts += _axes(plot, x, y, rounds)
    for at, one in enumerate(plot.series):  # beside each other, so that no interval hides another
        aside = 4.0 * (at - (len(plot.series) - 1) / 2) if rounds else 0.0
        parts += _series(one, replace(x, start=x.start + aside, end=x.end + aside), y)
    return _svg(plot, bottom + BOTTOM, _told(plot), parts)


def _axes(plot: Curves, x: Scale, y: Scale, rounds: bool) -> list[Markup]:
    parts = []
    marks = ticks(y.low, y.high)
    step = marks[1] - marks[0] if len(marks) > 1 else 1.0
    for value in marks:
        parts.append(_line(LEFT, y(value), WIDTH - RIGHT, y(value), "grid"))
        parts.append(_text(LEFT - 5, y(value) + 3.5, tick_label(value, plot.unit == "percent", step), "end"))
    marks = ticks(x.low, x.high, rounds, 6)
    step = marks[1] - marks[0] if len(marks) > 1 else 1.0
    for value in marks:
        label = tick_label(value, plot.x_unit == "percent", step)
        parts.append(_text(x(value), y.start + 14, label, "mid"))
    parts.append(_line(LEFT, y.start, WIDTH - RIGHT, y.start, "axis"))
    if plot.level is not None:
        parts.append(_line(LEFT, y(plot.level), WIDTH - RIGHT, y(plot.level), "level"))
    if plot.diagonal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        parts.append(_line(x(low), y(low), x(high), y(high), "level"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, y.start + 30, plot.x_label, "mid"))
    return parts


def _series(one: Series, x: Scale, y: Scale) -> list[Markup]:
    colour = one.colour % PALETTE
    kept = [point for point in one.points if not point.crossed]
    parts = []
    for point in one.points:
        if point.low is not None and point.high is not None:
            parts.append(_line(x(point.x), y(point.low), x(point.x), y(point.high), f"span c{colour}"))
    if len(kept) > 1:
        places = " ".join(f"{x(point.x):.1f},{y(point.y):.1f}" for point in kept)
        parts.append(Markup('<polyline points="{}" class="l c{}"/>').format(places, colour))
    for point in one.points:
        if len(one.points) <= 60 or point.crossed:
            parts.append((_cross if point.crossed else _shape)(one.colour, x(point.x), y(point.y)))
        if point.label:
            parts.append(_text(x(point.x) + 6, y(point.y) - 5, point.label, "", "halo"))
    return parts


def _told(plot: Curves) -> str:
    """The plot in words, for who cannot see it."""
    return f"{plot.y_label} by {plot.x_label}. " + " ".join(
        f"{one.name}: {', '.join(_point(plot, point) for point in one.points[-TOLD:])}." for one in plot.series
    )


def _point(plot: Curves, point: Point) -> str:
    value = percent(point.y) if plot.unit == "percent" else number(point.y)
    place = percent(point.x) if plot.x_unit == "percent" else f"{point.x:g}" if point.x % 1 == 0 else number(point.x)
    return f"{value} at {place}{f' ({plot.crosses})' if point.crossed else ''}"


def _bars(plot: Bars) -> Markup:
    legend = [(_swatch(at), name) for at, name in enumerate(plot.parts)]
    if plot.mark:
        legend.append((_line(0, -5, 0, 5, "mark"), plot.mark))
    parts, top = _legend(legend)
    bottom = top + 24 * len(plot.bars)
    most = max((max(sum(bar.parts_P), bar.mark or 0.0) for bar in plot.bars), default=1.0) or 1.0
    x = Scale(0.0, most * 1.03, LEFT, WIDTH - RIGHT)
    marks = ticks(x.low, x.high)
    for value in marks:
        parts.append(_line(x(value), top, x(value), bottom, "grid"))
        parts.append(_text(x(value), bottom + 14, tick_label(value, False, marks[1] - marks[0]), "mid"))
    for at, bar in enumerate(plot.bars):
        y, start = top + 24 * at + 4, 0.0
        parts.append(_text(LEFT - 6, y + 12, bar.label, "end"))
        for part, value in enumerate(bar.parts_P):
            if value > 0:
                parts.append(
                    Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.2f}" height="16" class="f f{}"/>').format(
                        x(start), y, x(start + value) - x(start), part % (PALETTE + 1)
                    )
                )
            start += value
        if bar.mark is not None:
            parts.append(_line(x(bar.mark), y - 2, x(bar.mark), y + 18, "mark"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, bottom + 30, plot.x_label, "mid"))
    told = "; ".join(f"{bar.label}: {_parts(plot, bar.parts_P)}" for bar in plot.bars[-TOLD:])
    return _svg(plot, bottom + BOTTOM, told, parts)


def _parts(plot: Bars, parts_P: Sequence[float]) -> str:
    return ", ".join(f"{name} {duration(value)}" for name, value in zip(plot.parts, parts_P, strict=True) if value > 0)


def _swatch(part: int) -> Markup:
    return Markup('<rect x="-5" y="-5" width="10" height="10" class="f f{}"/>').format(part % (PALETTE + 1))


def _histograms(plot: Histograms) -> Markup:
    height, top = 36.0, 6.0
    bottom = top + height * len(plot.rows)
    x = Scale(plot.low, plot.high, LEFT, WIDTH - RIGHT)
    parts = []
    for at, row in enumerate(plot.rows):
        base, most = top + height * (at + 1), max(row.counts_B, default=0) or 1
        parts.append(_text(LEFT - 4, base - 8, row.label, "end"))
        bins = Scale(0, len(row.counts_B), LEFT, WIDTH - RIGHT)
        for b, count in enumerate(row.counts_B):
            if count:
                tall = 0.86 * height * count / most
                parts.append(
                    Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="f f0"/>').format(
                        bins(b) + 0.5, base - tall, bins(1) - bins(0) - 1, tall
                    )
                )
        parts.append(_line(LEFT, base, WIDTH - RIGHT, base, "axis"))
    marks = ticks(plot.low, plot.high)
    step = marks[1] - marks[0] if len(marks) > 1 else 1.0
    parts += [_text(x(value), bottom + 14, tick_label(value, False, step), "mid") for value in marks]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, bottom + 30, plot.x_label, "mid"))
    told = "; ".join(f"{row.label}: {_shares(plot, row.counts_B)}" for row in plot.rows)
    return _svg(plot, bottom + BOTTOM, told, parts)


def _shares(plot: Histograms, counts_B: Sequence[int]) -> str:
    """Which bin holds most."""
    total, width = sum(counts_B), (plot.high - plot.low) / max(1, len(counts_B))
    if not total:
        return "nothing"
    most = max(range(len(counts_B)), key=lambda b: counts_B[b])
    start = plot.low + most * width
    return f"{total} values, most ({percent(counts_B[most] / total)}) from {number(start)} to {number(start + width)}"

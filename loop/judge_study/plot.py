"""The figure of `ratchet judge`: accuracy of each subset, and how far confidence can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from loop.judge_study.figures import Figures
from loop.view.text import number, visible


def draw(judges: Sequence[Figures], file: Path) -> None:
    """Two panels, in which every judge has its colour."""
    with mpl.rc_context(
        {
            "svg.hashsalt": "ratchet",
            "font.size": 9,
            "axes.titlesize": 10,
            "legend.fontsize": 8,
            "text.parse_math": False,
        }
    ):
        figure = Figure(figsize=(10.0, 1.6 + 0.35 * max(8, len(judges[0].subsets))), layout="constrained")
        bars, reliability = figure.subplots(1, 2)
        _bars(bars, judges)
        _reliability(reliability, judges)
        figure.legend(*bars.get_legend_handles_labels(), loc="outside lower center", ncols=len(judges))
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=150)


def _bars(axes: Any, judges: Sequence[Figures]) -> None:
    axes.set_title("Accuracy with 95 % intervals")
    names = [visible(one.subset) for one in judges[0].subsets] + ["overall"]
    height = 0.8 / len(judges)
    for at, judge in enumerate(judges):
        rows = (*judge.subsets, judge.overall)
        share_S = np.array([one.accuracy for one in rows])
        below = np.maximum(share_S - [one.low for one in rows], 0.0)
        above = np.maximum([one.high for one in rows] - share_S, 0.0)
        y_S = np.arange(len(rows)) + (at - (len(judges) - 1) / 2) * height
        axes.barh(y_S, share_S, height, xerr=(below, above), label=_label(judge), error_kw={"linewidth": 0.8})
    axes.set_yticks(np.arange(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.05)
    axes.axvline(0.5, color="0.6", linewidth=0.8, linestyle=":")


def _reliability(axes: Any, judges: Sequence[Figures]) -> None:
    axes.set_title("Reliability: size is the share of comparisons")
    axes.plot([0.5, 1.0], [0.5, 1.0], color="0.6", linewidth=0.8)
    for at, judge in enumerate(judges):
        if not judge.bins:
            continue
        confidence, right = [b.confidence for b in judge.bins], [b.accuracy for b in judge.bins]
        axes.plot(confidence, right, linewidth=1.0, color=f"C{at}")
        axes.scatter(confidence, right, [20 + 300 * b.share for b in judge.bins], color=f"C{at}")
    axes.set_xlabel("confidence")
    axes.set_ylabel("share right")
    axes.set_xlim(0.48, 1.02)
    axes.set_ylim(-0.02, 1.02)


def _label(judge: Figures) -> str:
    label = visible(f"{judge.judge} ({judge.version})")
    return label if judge.calibration_error is None else f"{label}, calibration error {number(judge.calibration_error)}"

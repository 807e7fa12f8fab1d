"""Exported checkpoints: which of them stay."""

from __future__ import annotations

import shutil
from pathlib import Path

from loop.retention import kept
from loop.summary import RunSummary


def export_folder(folder: Path, round: int) -> Path:
    """Where the policy of a round is exported to, below a run's folder."""
    return folder / "checkpoints" / f"round-{round:03d}"


def retain_exports(folder: Path, keep: int, summary: RunSummary) -> None:
    """Delete exported checkpoints but the newest `keep` (0: all stay), the best and the incumbent's."""
    rounds = [result.round for result in summary.rounds if export_folder(folder, result.round).is_dir()]
    if keep == 0 or len(rounds) <= keep:
        return
    scored = [(r.gold_score, r.round) for r in summary.rounds if r.gold_score is not None and r.round in rounds]
    stay = kept(rounds, keep, max(scored)[1] if scored else None, rounds[-1])
    for number in rounds:
        if number not in stay:
            shutil.rmtree(export_folder(folder, number))

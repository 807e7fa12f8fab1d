"""Exported checkpoints: which of them stay."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from loop.retention import kept
from loop.store import told_plainly
from loop.summary import RoundSummary

PINNED = "forks"
"""A file inside an exported checkpoint that names the runs that start from it."""

BEST = "best"
"""A link beside the exported checkpoints to the incumbent's."""


def export_folder(folder: Path, round: int) -> Path:
    """Where the policy of a round is exported to, below a run's folder."""
    return folder / "checkpoints" / f"round-{round:03d}"


def pin(export: Path, by: str) -> None:
    """Keep an exported checkpoint for good, because the run `by` starts from it. Raises: StoreFailed."""
    with told_plainly(str(export / PINNED)), open(export / PINNED, "a", encoding="utf-8") as handle:
        handle.write(f"{by}\n")


def stand(folder: Path, incumbent: Path) -> None:
    """Let `checkpoints/best` lead to the incumbent's checkpoint, in one step. Raises: StoreFailed."""
    best, made = folder / "checkpoints" / BEST, folder / "checkpoints" / f".{BEST}"
    inside = incumbent.parent == best.parent
    with told_plainly(str(best)):
        best.parent.mkdir(parents=True, exist_ok=True)
        made.unlink(missing_ok=True)
        made.symlink_to(incumbent.name if inside else incumbent, target_is_directory=True)
        if best.is_dir() and not best.is_symlink():
            shutil.rmtree(best)  # a run folder that was copied with what its links lead to
        made.replace(best)


def retain_exports(
    folder: Path, keep: int, results: Sequence[RoundSummary], incumbent: int, needed: Collection[int] = ()
) -> list[int]:
    """Delete exported checkpoints but the newest `keep` (0: all stay), the best, the incumbent's, those that other runs
    start from, and those of the rounds `needed` as anchors. `results` are all rounds that were trained; returns those
    whose checkpoints went."""
    rounds = [result.round for result in results if export_folder(folder, result.round).is_dir()]
    if keep == 0 or len(rounds) <= keep:
        return []
    scored = [(r.gold_score, r.round) for r in results if r.gold_score is not None and r.round in rounds]
    pinned = [number for number in rounds if (export_folder(folder, number) / PINNED).exists()]
    stay = kept(rounds, keep, max(scored)[1] if scored else None, incumbent, [*pinned, *needed])
    gone = [number for number in rounds if number not in stay]
    for number in gone:
        shutil.rmtree(export_folder(folder, number))
    return gone

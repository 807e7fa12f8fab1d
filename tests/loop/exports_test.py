from __future__ import annotations

from pathlib import Path

from loop.exports import export_folder, pin, retain_exports, stand
from loop.summary import RoundSummary


def kept_of(folder: Path, scores: list[float | None], keep: int) -> list[int]:
    """The rounds whose exports are left of a run with these gold scores."""
    rounds = [RoundSummary(n, f"r{n}-s{n}", gold_score=score) for n, score in enumerate(scores, start=1)]
    for one in rounds:
        export_folder(folder, one.round).mkdir(parents=True, exist_ok=True)
    gone = retain_exports(folder, keep, rounds, rounds[-1].round)
    left = [one.round for one in rounds if export_folder(folder, one.round).is_dir()]
    assert sorted([*gone, *left]) == [one.round for one in rounds]
    return left


def test_the_newest_and_the_best_stay(tmp_path: Path) -> None:
    assert kept_of(tmp_path, [0.5, 0.9, 0.6, None, 0.7], 2) == [2, 4, 5]


def test_nothing_goes_while_there_are_few_or_all_are_wanted(tmp_path: Path) -> None:
    assert kept_of(tmp_path, [0.5, 0.6, 0.7], 3) == [1, 2, 3]
    assert kept_of(tmp_path, [0.5, 0.6, 0.7, 0.8], 0) == [1, 2, 3, 4]


def test_what_another_run_starts_from_stays(tmp_path: Path) -> None:
    export_folder(tmp_path, 1).mkdir(parents=True)
    pin(export_folder(tmp_path, 1), "fork")
    assert kept_of(tmp_path, [0.1, 0.2, 0.3, 0.4], 1) == [1, 4]


def test_the_incumbent_stays_and_best_leads_to_it(tmp_path: Path) -> None:
    rounds = [RoundSummary(n, f"r{n}-s{n}", gold_score=score) for n, score in enumerate((0.2, 0.9, 0.3, 0.1), start=1)]
    for one in rounds:
        export_folder(tmp_path, one.round).mkdir(parents=True)
    assert retain_exports(tmp_path, 1, rounds, incumbent=3) == [1]
    model = tmp_path / "model"
    for place in (export_folder(tmp_path, 3), export_folder(tmp_path, 4), model):
        place.mkdir(exist_ok=True)
        stand(tmp_path, place)
        assert (tmp_path / "checkpoints" / "best").resolve() == place.resolve()
    (tmp_path / "checkpoints" / "best").unlink()
    (tmp_path / "checkpoints" / "best" / "copied").mkdir(parents=True)
    stand(tmp_path, model)
    assert (tmp_path / "checkpoints" / "best").resolve() == model.resolve(), "a copied run goes on"
    left = sorted(place.name for place in (tmp_path / "checkpoints").iterdir())
    assert left == [
        "best",
        "round-002",
        "round-003",
        "round-004",
    ]

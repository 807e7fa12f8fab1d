from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from loop.composition import compose
from loop.config import RunConfig
from loop.errors import Refused
from loop.folder import begin, choose, locked, read_mark, require_identity, summary_if_finished
from loop.prompts.pool import PoolCounts, PromptPool
from loop.task import Task
from tests.loop.stub_fleets import drive, prompts


def task(folder: Path, *overrides: str, identity: str = "a" * 32) -> Task:
    """A task with that folder, which need not be there."""
    pool = PromptPool({"train": prompts("train", 1)}, {"train": 1.0}, [], prompts("test", 1), PoolCounts(*[0] * 7))
    return Task(compose(["experiment=demo", *overrides]), identity, folder, pool, "model")


def begun(folder: Path, *overrides: str) -> Task:
    """A task whose run has begun in that folder."""
    folder.mkdir()
    one = task(folder, *overrides)
    begin(one, OmegaConf.to_yaml(OmegaConf.structured(one.config)))
    return one


def chosen(folder: Path, *overrides: str) -> Path:
    config: RunConfig = compose(["experiment=demo", *overrides])
    return choose(folder, config)


def test_choosing_a_folder_writes_nothing(tmp_path: Path) -> None:
    assert chosen(tmp_path / "run") == tmp_path / "run"
    require_identity(task(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_run_finds_its_folder_again(tmp_path: Path) -> None:
    one = begun(tmp_path / "run")
    assert chosen(tmp_path / "run") == tmp_path / "run"
    require_identity(one)
    assert read_mark(one.folder)["identity"] == one.identity


def test_another_identity_is_refused_with_what_differs(tmp_path: Path) -> None:
    begun(tmp_path / "run")
    other = task(tmp_path / "run", "learner.lr=0.5", identity="b" * 32)
    with pytest.raises(Refused, match=r"another identity \(aaaaaaaa, this one is bbbbbbbb\): learner.lr: .* -> 0.5"):
        require_identity(other)


def test_tables_that_lie_elsewhere_are_not_begun_again(tmp_path: Path) -> None:
    begun(tmp_path / "run", "ledger.store=s3://bucket/a")
    require_identity(task(tmp_path / "run", "ledger.store=s3://bucket/a"))
    for other in ([], ["ledger.store=s3://bucket/b"]):
        with pytest.raises(Refused, match="the tables of this run lie in s3://bucket/a/run, not in"):
            require_identity(task(tmp_path / "run", *other))


def test_a_run_may_be_moved_with_its_tables(tmp_path: Path) -> None:
    (begun(tmp_path / "run").folder / "ledger").mkdir()
    (tmp_path / "run").rename(tmp_path / "moved")
    require_identity(task(tmp_path / "moved"))


def test_fresh_starts_beside(tmp_path: Path) -> None:
    begun(tmp_path / "run")
    begun(tmp_path / "run.2")
    assert chosen(tmp_path / "run", "fresh=true") == tmp_path / "run.3"
    assert chosen(tmp_path / "run") == tmp_path / "run.2", "the newest is found again"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Refused, match="not the folder of a run"):
        require_identity(task(tmp_path))


def test_a_run_that_broke_off_before_its_mark_was_written_may_begin(tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        (tmp_path / "run" / "run.json.1a2b3c4d.tmp").write_text("{")
    require_identity(task(tmp_path / "run"))
    assert chosen(tmp_path / "run", "fresh=true") == tmp_path / "run"


def test_only_a_finished_run_has_a_final_summary(tmp_path: Path) -> None:
    assert summary_if_finished(tmp_path / "run") is None
    begun(tmp_path / "run")
    assert summary_if_finished(tmp_path / "run") is None
    drive(tmp_path / "run", dies_at=12)
    assert summary_if_finished(tmp_path / "run") is None
    finished = drive(tmp_path / "run").summary
    assert summary_if_finished(tmp_path / "run") == finished
    assert finished is not None and dataclasses.asdict(finished)["finished"]


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "run"),
        pytest.raises(Refused, match="being run by another process"),
        locked(tmp_path / "run"),
    ):
        pass
    with locked(tmp_path / "run"):
        pass

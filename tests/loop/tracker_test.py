"""What a tracker is told arrives once, on the axis of rounds, and nothing else: read back from real offline runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loop.config import TrackerConfig, TrackerKind
from loop.errors import InfrastructureFailed, Refused
from loop.summary import RoundSummary, RunSummary
from loop.tracker import METRICS, NullTracker, WandbTracker, flat_metrics, open_tracker, without_secrets
from tests.loop import wandb_file

KEY = "0123456789abcdef" * 2 + "01234567"
CONFIG = {"seed": 7, "model": {"name": "tiny", "path": f"https://user:{KEY}@hub/tiny"}, "prompts": ["a", "b"]}
ROWS = [
    {
        "prompt": f"p{i}",
        "chosen": "<b>yes</b>\x1b[31m",
        "rejected": "no",
        "strength": 0.9,
        "margin": 1.5,
        "judge": "v",
    }
    for i in range(5)
]


def full_round(number: int) -> RoundSummary:
    """A round in which everything was measured."""
    values = {name: 10.0 * number + i for i, name in enumerate(METRICS)}
    return RoundSummary(round=number, policy=f"r{number}", seconds={"generate": 1.5, "learn": 2.5}, **values)  # type: ignore[arg-type]


INITIAL = RoundSummary(round=0, policy="r0", gold_score=0.25, seconds={"evaluate": 1.0})
RUN = RunSummary(
    "demo", "1" * 32, "demo", "dpo", "verifier", "tiny", 7, True, INITIAL, [full_round(1), full_round(2)], 9.5
)


@pytest.fixture
def wandb_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """wandb with a home of its own and no login."""
    import wandb

    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    wandb.teardown()
    yield monkeypatch
    wandb.teardown()


def track(
    folder: Path, rounds: list[RoundSummary], finished: bool = True, name: str = "demo-dpo-1"
) -> tuple[Path, list[str]]:
    """Track some rounds into the folder: the `.wandb` file and the notices."""
    folder.mkdir(exist_ok=True)
    before = set(folder.glob("wandb/*/*.wandb"))
    notices: list[str] = []
    tracker = WandbTracker(TrackerConfig(kind=TrackerKind.wandb, examples=3), notices.append)
    tracker.start(CONFIG, name, "1" * 32, folder)
    for summary in rounds:
        tracker.round(summary)
        if summary.round:
            tracker.examples(summary.round, ROWS)
    tracker.finish(replace(RUN, finished=finished, stopped_because=None if finished else "judge"))
    (file,) = set(folder.glob("wandb/*/*.wandb")) - before
    return file, notices


def test_an_offline_run_holds_everything_once(
    wandb_alone: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wandb_alone.setenv("HF_TOKEN", KEY)
    wandb_alone.setenv("WANDB_SAVE_CODE", "true")
    folder = tmp_path / "run"
    file, notices = track(folder, [INITIAL, full_round(1), full_round(2)])

    run = wandb_file.run_record(file)
    assert (run.display_name, run.project) == ("demo-dpo-1", "ratchet")
    config = wandb_file.config(file)
    assert config["seed"] == 7 and config["prompts"] == ["a", "b"]
    assert config["model"] == {"name": "tiny", "path": "https://user:***@hub/tiny"}

    rows = wandb_file.history(file)
    measured = [row for row in rows if "examples._type" not in row]
    assert [row["round"] for row in measured] == [0, 1, 2]
    for row, summary in zip(measured, [INITIAL, full_round(1), full_round(2)], strict=True):
        assert {name: value for name, value in row.items() if name[0] != "_"} == flat_metrics(summary)
    axes = wandb_file.step_metrics(file)
    assert {axes[name] for name in METRICS.values()} | {axes["seconds/*"], axes["examples"]} == {"round"}

    tables = [row for row in rows if "examples._type" in row]
    assert [row["round"] for row in tables] == [1, 2]
    for row in tables:
        table = json.loads((file.parent / "files" / row["examples.path"]).read_text())
        assert table["columns"] == ["prompt", "chosen", "rejected", "strength", "margin", "judge"]
        assert [cells[0] for cells in table["data"]] == ["p0", "p1", "p2"]  # capped
        assert table["data"][0][1:] == ["<b>yes</b>\x1b[31m", "no", 0.9, 1.5, "v"]

    assert wandb_file.summary(file)["initial_gold_score"] == 0.25
    assert wandb_file.exit_code(file) == 0
    assert notices == [f"wandb is offline: `wandb sync {file.parent}` sends the run later."]
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in file.parent.rglob("*") if path.is_file() and not path.is_symlink()} == {
        file.name,
        "debug.log",
        "debug-internal.log",
        *(Path(row["examples.path"]).name for row in tables),
    }
    held = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert held == []


def test_the_same_run_keeps_its_id_and_another_folder_gets_another(wandb_alone: object, tmp_path: Path) -> None:
    ids = [
        wandb_file.run_record(track(tmp_path / "run", [full_round(n)], finished, name)[0]).run_id
        for n, finished, name in ((1, False, "demo"), (2, True, "demo"), (1, True, "demo.2"))
    ]
    assert ids[0] == ids[1] != ids[2]


def test_a_resumed_run_goes_on_after_the_steps_that_it_made(wandb_alone: object, tmp_path: Path) -> None:
    first, _ = track(tmp_path / "run", [INITIAL, full_round(1)], finished=False)
    second, _ = track(tmp_path / "again", [full_round(2)])
    steps = [row["_step"] for file in (first, second) for row in wandb_file.history(file)]
    assert steps == [0, 2, 3, 4, 5]


def test_a_run_that_stopped_is_closed_as_failed(wandb_alone: object, tmp_path: Path) -> None:
    file, _ = track(tmp_path / "run", [INITIAL], finished=False)
    assert wandb_file.exit_code(file) == 1
    assert wandb_file.summary(file)["stopped_because"] == "judge"


def test_a_repeated_round_is_not_doubled(wandb_alone: object, tmp_path: Path) -> None:
    file, _ = track(tmp_path / "run", [INITIAL, full_round(1), full_round(1), full_round(2)])
    rounds = [row["round"] for row in wandb_file.history(file) if "examples._type" not in row]
    assert rounds == [0, 1, 2]


def test_wandb_mode_is_respected(wandb_alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wandb_alone.setenv("WANDB_API_KEY", KEY)
    wandb_alone.setenv("WANDB_MODE", "offline")
    file, notices = track(tmp_path / "run", [INITIAL])
    assert "offline" in notices[0]
    held = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert file.is_file() and held == []


def test_online_without_a_login_is_refused(wandb_alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wandb_alone.setenv("WANDB_MODE", "online")
    with pytest.raises(Refused, match="finds no login"):
        track(tmp_path / "run", [])


def test_a_disabled_run_writes_nothing(wandb_alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wandb_alone.setenv("WANDB_MODE", "disabled")
    notices: list[str] = []
    tracker = WandbTracker(TrackerConfig(kind=TrackerKind.wandb), notices.append)
    tracker.start(CONFIG, "demo", "1", tmp_path)
    tracker.round(INITIAL)
    tracker.examples(1, ROWS)
    tracker.finish(RUN)
    assert not (tmp_path / "wandb").exists()
    assert notices == ["wandb is disabled by WANDB_MODE: nothing is tracked."]


def test_every_number_of_a_round_has_a_name() -> None:
    told_otherwise = {"round", "policy", "notes", "seconds", "checkpoint"}
    assert {field.name for field in dataclasses.fields(RoundSummary)} == METRICS.keys() | told_otherwise
    assert len(set(METRICS.values())) == len(METRICS)


def test_what_was_not_measured_is_left_out() -> None:
    metrics = flat_metrics(INITIAL)
    assert "learner/loss" not in metrics
    assert (metrics["round"], metrics["quality/gold_score"], metrics["seconds/evaluate"]) == (0, 0.25, 1.0)


def test_secrets_are_found_anywhere_in_a_text() -> None:
    environment = {"MY_PASSWORD": "correct horse", "SHORT_KEY": "abc", "PATH": "/usr/local/bin"}
    config: dict[str, Any] = {"a": [{"b": "x correct horse y"}], "c": "abc /usr/local/bin", "d": 3, "e": None}
    clean = without_secrets(config, environment)
    assert clean == {"a": [{"b": "x *** y"}], "c": "abc /usr/local/bin", "d": 3, "e": None}


def test_without_a_tracker_nothing_is_written(tmp_path: Path) -> None:
    tracker = open_tracker(TrackerConfig(), lambda sentence: pytest.fail(sentence))
    assert isinstance(tracker, NullTracker)
    tracker.start(CONFIG, "demo", "1", tmp_path)
    tracker.round(INITIAL)
    tracker.examples(1, ROWS)
    tracker.finish(RUN)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_one_sentence(
    wandb_alone: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wandb_alone.setenv("WANDB_API_KEY", KEY)
    wandb_alone.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    wandb_alone.setenv("WANDB_INIT_TIMEOUT", "1")
    with pytest.raises(InfrastructureFailed, match=r"^wandb could not open the run: .* \(WANDB_MODE=offline .*\)$"):
        track(tmp_path / "run", [])
    assert capfd.readouterr() == ("", "")

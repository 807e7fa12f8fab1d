"""What a tracker is told arrives once, each metric on its axis, and nothing else: read back from real offline runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb

from loop.config import TrackerConfig, TrackerKind
from loop.errors import InfrastructureFailed, Refused
from loop.records import ShardRef
from loop.summary import RoundSummary, RunSummary
from loop.tracking import NullTracker, open_tracker
from loop.tracking.charts import Chart, length_chart
from loop.tracking.metrics import ROUND, STEP, round_metrics, step_metrics
from loop.tracking.wandb_tracker import WandbTracker
from tests.loop.tracking import wandb_file
from tests.loop.tracking.kit import REPORT, full_round, gate

KEY = "0123456789abcdef" * 2 + "01234567"
CONFIG = {
    "seed": 7,
    "model": {"name": "tiny", "path": f"https://user:{KEY}@hub/tiny"},
    "prompts": {"names": ["a", "b"], "system": "CANARY be kind"},
}
ROWS = [
    {
        "prompt": f"CANARY {i}",
        "chosen": "<b>CANARY</b>\x1b[31m",
        "rejected": "CANARY",
        "strength": 0.9,
        "margin": 1.5,
        "judge": "v",
        "values": "chosen 1",
        "replies": "<script>CANARY</script>",
        "example": f"e{i}",
    }
    for i in range(5)
]
NUMBERS = ["strength", "margin", "judge", "values", "example"]
CHARTS = [
    one
    for one in (
        length_chart("lengths", [1, 2, 2]),
        Chart("calibration", "line", "t", ("stated", "observed", "line"), ((0.5, 1.0, "judge"),), "stated", "observed"),
    )
    if one is not None
]
SHARDS = [ShardRef("responses", 1, at, f"/runs/responses/{at}", 4, f"sha{at}", {"tokens": 8.0}) for at in (1, 0)]
INITIAL = RoundSummary(round=0, policy="r0-s0", gold_score=0.25, seconds={"evaluate": 1.0})
RUN = RunSummary(
    "demo", "1" * 32, "demo", "dpo", "verifier", "tiny", 7, True, INITIAL, [full_round(1), full_round(2)], 9.5
)


def track(
    folder: Path, rounds: list[RoundSummary], finished: bool = True, name: str = "demo-dpo-1", **config: Any
) -> tuple[Path, list[str]]:
    """Track some rounds into the folder: the `.wandb` file and the notices."""
    folder.mkdir(exist_ok=True)
    before, notices = set(folder.glob("wandb/*/*.wandb")), list[str]()
    tracker = WandbTracker(TrackerConfig(kind=TrackerKind.wandb, examples=3, **config), notices.append)
    tracker.start(CONFIG, name, "1" * 32, folder)
    for summary in rounds:
        if summary.round:
            tracker.learnt(summary.round, 2 * summary.round - 2, REPORT)
        tracker.round(summary)
        if summary.round:
            tracker.details(summary.round, ROWS, CHARTS, SHARDS)
    tracker.finish(replace(RUN, finished=finished, stopped_because=None if finished else "CANARY judge"))
    (file,) = set(folder.glob("wandb/*/*.wandb")) - before
    return file, notices


def own(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what wandb adds."""
    return {name: value for name, value in row.items() if name[0] != "_"}


def holding(folder: Path, text: str) -> list[Path]:
    """The files below a folder in which a text stands."""
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run of which everything was tracked, with a secret in the environment."""
    from tests.loop.tracking.kit import alone

    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (alone(folder / "home") | {"HF_TOKEN": KEY, "WANDB_SAVE_CODE": "true"}).items():
            patch.setenv(name, value) if value is not None else patch.delenv(name, raising=False)
        wandb.teardown()
        exported = folder / "run" / "checkpoints" / "round-001"
        exported.mkdir(parents=True)
        (exported / "model.safetensors").write_bytes(b"weights")
        rounds = [INITIAL, full_round(1, checkpoint=str(exported)), full_round(2, gate=gate("rejected"))]
        told = track(folder / "run", rounds)
        wandb.teardown()
    return told


def test_rounds_and_steps_are_there_once_on_their_axes(whole: tuple[Path, list[str]]) -> None:
    file, _ = whole
    rows = [own(row) for row in wandb_file.history(file)]
    rounds = [row for row in rows if "quality/gold_score" in row]
    assert rounds == [round_metrics(one) for one in (INITIAL, full_round(1), full_round(2, gate=gate("rejected")))]
    steps = [row for row in rows if STEP in row]
    assert steps == [*step_metrics(1, 0, REPORT), *step_metrics(2, 2, REPORT)]
    for metrics, axis in ((rounds[1], ROUND), (steps[0], STEP)):
        assert {wandb_file.axis_of(file, name) for name in metrics if name not in (ROUND, STEP)} == {axis}
    assert wandb_file.axis_of(file, "actors/engine_healthy") == "time/seconds"


def test_tables_are_capped_and_plain_text(whole: tuple[Path, list[str]]) -> None:
    file, _ = whole
    tables = [row for row in wandb_file.history(file) if "examples._type" in row]
    assert [row["round"] for row in tables] == [1, 2] and wandb_file.axis_of(file, "examples") == ROUND
    for row in tables:
        assert row["examples._type"] == "table-file"
        table = json.loads((file.parent / "files" / row["examples.path"]).read_text())
        assert table["columns"] == list(ROWS[0])
        assert table["data"] == [list(one.values()) for one in ROWS[:3]], "capped, and what was written is only text"
    (described, _) = wandb_file.artifacts(file, "run_table")[:2]
    (local,) = [one.local_path for one in described.manifest.contents]
    types = json.loads(Path(local).read_text())["column_types"]["params"]["type_map"]
    for name in ("prompt", "chosen", "replies"):
        assert {one["wb_type"] for one in types[name]["params"]["allowed_types"]} == {"none", "string"}, "not HTML"


def test_charts_are_drawn_from_tables(whole: tuple[Path, list[str]]) -> None:
    file, _ = whole
    rows = wandb_file.history(file)
    for name, spec, data in (
        ("charts/lengths", "wandb/bar/v0", [["0", 0], ["1", 1], ["2", 2]]),
        ("charts/calibration", "wandb/line/v0", [[0.5, 1.0, "judge"]]),
    ):
        drawn = [row for row in rows if f"{name}_table._type" in row]
        assert [row["round"] for row in drawn] == [1, 2] and wandb_file.axis_of(file, f"{name}_table") == ROUND
        table = json.loads((file.parent / "files" / drawn[0][f"{name}_table.path"]).read_text())
        assert table["data"] == data
        assert wandb_file.visualised(file)[name]["panel_config"]["panelDefId"] == spec


def test_policies_and_slices_of_the_ledger_are_artifacts(whole: tuple[Path, list[str]]) -> None:
    file, _ = whole
    (policy,) = wandb_file.artifacts(file, "model")
    exported = file.parents[2] / "checkpoints" / "round-001" / "model.safetensors"
    (entry,) = policy.manifest.contents
    assert (entry.path, entry.ref, entry.local_path) == ("model.safetensors", exported.as_uri(), "")
    assert "round-1" in policy.aliases and json.loads(policy.metadata)["policy"] == "r1-s3"
    ledgers = wandb_file.artifacts(file, "ledger")
    assert [sorted(one.aliases) for one in ledgers] == [["latest", "round-1"], ["latest", "round-2"]]
    (entry,) = ledgers[0].manifest.contents
    listed = json.loads(Path(entry.local_path).read_text())
    assert [(one["table"], one["shard"], one["digest"], one["rows"]) for one in listed] == [
        ("responses", 0, "sha0", 4),
        ("responses", 1, "sha1", 4),
    ]


def test_alerts_are_in_the_file(whole: tuple[Path, list[str]]) -> None:
    file, _ = whole
    told = wandb_file.alerts(file)
    assert [title for title, _, _ in told] == ["round 1: hacking is red (1.375)", "round 2: the gate rejected r3-s9"]
    assert told[1][1:] == ("CANARY won too little", "WARN")


def test_nothing_else_is_kept_and_no_secret_is(whole: tuple[Path, list[str]]) -> None:
    file, notices = whole
    run, config = wandb_file.run_record(file), wandb_file.config(file)
    assert (run.display_name, run.project, config["seed"]) == ("demo-dpo-1", "ratchet", 7)
    assert config["model"] == {"name": "tiny", "path": "https://user:***@hub/tiny"}
    assert wandb_file.summary(file)["initial_gold_score"] == 0.25 and wandb_file.exit_code(file) == 0
    assert notices == [f"wandb is offline: `wandb sync {file.parent}` sends the run later."]
    kept = {path.name for path in file.parent.rglob("*") if path.is_file() and path.suffixes != [".table", ".json"]}
    assert kept - {"debug-core.log"} == {file.name, "debug.log", "debug-internal.log"}
    assert holding(file.parents[3], KEY) == []


def test_texts_can_stay_at_home(wandb_alone: object, tmp_path: Path) -> None:
    rounds = [replace(full_round(1), notes=["CANARY"]), full_round(2, gate=gate("rejected"))]
    file, _ = track(tmp_path / "run", rounds, finished=False, texts=False)
    assert holding(tmp_path, "CANARY") == []
    (row, _) = [row for row in wandb_file.history(file) if "examples._type" in row]
    table = json.loads((file.parent / "files" / row["examples.path"]).read_text())
    assert table["columns"] == NUMBERS and len(table["data"]) == 3
    assert [title for title, _, _ in wandb_file.alerts(file)][-1] == "stopped in round 3"
    track(tmp_path / "told", rounds, finished=False)
    assert holding(tmp_path / "told", "CANARY") != []


def test_checkpoints_are_uploaded_where_asked_for(wandb_alone: object, tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    exported.mkdir()
    (exported / "model.safetensors").write_bytes(b"weights")
    file, _ = track(tmp_path / "run", [full_round(1, checkpoint=str(exported))], upload=True)
    (policy,) = wandb_file.artifacts(file, "model")
    (entry,) = policy.manifest.contents
    assert entry.ref == "" and Path(entry.local_path).read_bytes() == b"weights"


def test_online_the_policy_before_is_an_input(tmp_path: Path) -> None:
    used, made, notices = list[str](), list[Any](), list[str]()

    def use(name: str) -> None:
        used.append(name)
        if len(used) == 2:
            raise wandb.errors.CommError("not found")

    tracker = WandbTracker(TrackerConfig(kind=TrackerKind.wandb), notices.append)
    tracker._run = SimpleNamespace(
        id="abc",
        offline=False,
        log=lambda row, **_: None,
        alert=lambda *_, **__: None,
        use_artifact=use,
        log_artifact=lambda artifact, aliases: made.append((artifact.metadata["parent"], aliases)),
    )
    for number, decision in ((1, "promoted"), (2, "rejected"), (3, "promoted"), (4, "promoted")):
        tracker.round(full_round(number, gate=gate(decision), checkpoint=str(tmp_path)))  # type: ignore[arg-type]
    assert made == [(None, ["round-1"]), ("r1-s3", ["round-3"]), ("r3-s9", ["round-4"])]
    assert used == ["policy-abc:round-1", "policy-abc:round-3"]
    assert notices == ["wandb did not link the policy of round 3 as an input: not found"]


def test_the_same_run_keeps_its_id_and_another_folder_gets_another(wandb_alone: object, tmp_path: Path) -> None:
    files = [
        track(tmp_path / "run", [full_round(n)], finished, name)[0]
        for n, finished, name in ((1, False, "demo"), (2, True, "demo"), (1, True, "demo.2"))
    ]
    ids = [wandb_file.run_record(file).run_id for file in files]
    assert ids[0] == ids[1] != ids[2]


def test_what_was_given_before_is_not_given_again(wandb_alone: object, tmp_path: Path) -> None:
    first, _ = track(tmp_path / "run", [INITIAL, full_round(1), full_round(1)], finished=False)
    second, notices = track(tmp_path / "run", [INITIAL, full_round(1), full_round(2, gate=gate("rejected"))])
    rows = [row for file in (first, second) for row in wandb_file.history(file)]
    assert [row["round"] for row in rows if "quality/gold_score" in row] == [0, 1, 2]
    assert [(row["round"], row["step"]) for row in rows if "optimiser/loss" in row] == [(1, 1), (1, 2), (2, 3), (2, 4)]
    assert [row["round"] for row in rows if "examples._type" in row] == [1, 2]
    steps = [row["_step"] for row in rows]
    assert steps == sorted(set(steps)), "one history, in whatever order it is synced"
    titles = [title for file in (first, second) for title, _, _ in wandb_file.alerts(file)]
    assert [title for title in titles if "hacking" in title] == ["round 1: hacking is red (1.375)"]
    assert [len(wandb_file.artifacts(file, "ledger")) for file in (first, second)] == [1, 1]
    assert notices == [f"wandb is offline: `wandb sync {tmp_path}/run/wandb/*{first.stem[4:]}*` sends the run later."]


def test_a_run_that_stopped_is_closed_as_failed(wandb_alone: object, tmp_path: Path) -> None:
    file, _ = track(tmp_path / "run", [INITIAL], finished=False)
    assert wandb_file.exit_code(file) == 1
    assert wandb_file.summary(file)["stopped_because"] == "CANARY judge"
    assert wandb_file.alerts(file) == [("stopped in round 3", "CANARY judge", "ERROR")]


def test_wandb_mode_is_respected(wandb_alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wandb_alone.setenv("WANDB_API_KEY", KEY)
    wandb_alone.setenv("WANDB_MODE", "offline")
    file, notices = track(tmp_path / "run", [INITIAL])
    assert "offline" in notices[0]
    assert file.is_file() and holding(tmp_path, KEY) == []


def test_online_without_a_login_is_refused(wandb_alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wandb_alone.setenv("WANDB_MODE", "online")
    with pytest.raises(Refused, match="finds no login"):
        track(tmp_path / "run", [])


def test_a_disabled_run_writes_nothing(wandb_alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wandb_alone.setenv("WANDB_MODE", "disabled")
    notices: list[str] = []
    tracker = WandbTracker(TrackerConfig(kind=TrackerKind.wandb), notices.append)
    tracker.start(CONFIG, "demo", "1", tmp_path)
    tracker.learnt(1, 0, REPORT)
    tracker.round(full_round(1, checkpoint=str(tmp_path)))
    tracker.details(1, ROWS, CHARTS, SHARDS)
    tracker.finish(RUN)
    assert not list(tmp_path.glob("wandb/*run*"))
    assert notices == ["wandb is disabled by WANDB_MODE: nothing is tracked."]


def test_without_a_tracker_nothing_is_written(tmp_path: Path) -> None:
    tracker = open_tracker(TrackerConfig(), lambda sentence: pytest.fail(sentence))
    assert isinstance(tracker, NullTracker)
    tracker.start(CONFIG, "demo", "1", tmp_path)
    tracker.round(INITIAL)
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

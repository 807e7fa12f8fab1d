"""Bad input: one sentence, exit status 2, nothing written, nothing started."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from actors.main import main
from loop.composition import CONF

GOOD = {"prompt": "Copy: abc", "answer": "abc"}


def refusal(capsys: pytest.CaptureFixture[str], folder: Path, *overrides: str) -> str:
    """What a refused run prints; checks that it is one sentence and that nothing was written."""
    runs = folder / "runs"
    assert main(["run", "experiment=demo", f"runs={runs}", *overrides]) == 2
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("ratchet: "), shown.err
    assert "Traceback" not in shown.err and shown.out == ""
    assert not runs.exists()
    return lines[0]


def prompts(folder: Path, text: str) -> list[str]:
    """Overrides that make a file of this text the pool."""
    file = folder / "mine.jsonl"
    file.write_text(text)
    return [f"prompts.sources=[{{path: {file}}}]", "prompts.per_round=1"]


def lines(*rows: object) -> str:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lines(GOOD, "{not json"), "mine.jsonl, line 2"),
        (lines(GOOD, {"answer": "b"}), "mine.jsonl, line 2"),
        (lines(GOOD, {"prompt": "Copy: b"}), "answer"),
        (lines(GOOD, {"prompt": 3, "answer": "b"}), "prompt"),
        ("", "empty"),
        (lines(GOOD, {"prompt": "Copy: abc", "answer": "abd"}), "answer"),
        (lines({"prompt": "x" * 5000, "answer": "b"}), "no prompt of"),
    ],
)
def test_bad_prompts_are_refused_with_file_and_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, said: str
) -> None:
    sentence = refusal(capsys, tmp_path, *prompts(tmp_path, text))
    assert "mine.jsonl" in sentence and said in sentence


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("prompts.sources=[{path: nowhere.jsonl}]", "nowhere.jsonl"),
        ("model.path=/no/such/model", "/no/such/model"),
        ("learner.lrr=1", "learner.lr?"),
        ("algorithm.k=1", "algorithm.k"),
        ("rollout.max_context=100000", "rollout.max_context"),
        ("judge=self", "judge=self"),
        ("prompts.per_round=1000000", "prompts.per_round"),
        ("evaluate.gate_share=1.0", "evaluate.gate_share"),
    ],
)
def test_bad_overrides_are_refused_by_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, override: str, said: str
) -> None:
    assert said in refusal(capsys, tmp_path, override)


def test_a_bad_point_of_a_sweep_is_refused_before_the_first_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "seed" not in refusal(capsys, tmp_path, "-m", "seed=0,1", "learner.lrr=1")
    assert "rounds=0" in refusal(capsys, tmp_path, "-m", "rounds=1,0")


def test_a_model_without_safetensors_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(CONF / "demo" / "policy", model, ignore=shutil.ignore_patterns("*.safetensors"))
    assert "safetensors" in refusal(capsys, tmp_path, f"model.path={model}")


def test_a_model_too_large_for_the_transport_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "push.max_store_gb" in refusal(capsys, tmp_path, "push.max_store_gb=0.001")


def test_a_folder_of_something_else_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    assert "letters" in refusal(capsys, tmp_path, f"folder={tmp_path}/letters")
    assert [f.name for f in (tmp_path / "letters").iterdir()] == ["a.txt"]


def test_help_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "run" in capsys.readouterr().out


def test_the_composed_configuration_can_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--cfg", "experiment=demo", "seed=11"]) == 0
    assert "seed: 11" in capsys.readouterr().out

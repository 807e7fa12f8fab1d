from __future__ import annotations

from pathlib import Path

import pytest

from loop.composition import compose
from loop.errors import Refused
from loop.folder import begin, claim, locked, summary_if_finished
from loop.identity import identity_of, model_fingerprint, run_folder


def identity(*overrides: str, prompts: str = "p", model: str = "m") -> str:
    return identity_of(compose(["experiment=demo", *overrides]), prompts, model)


@pytest.mark.parametrize(
    "override",
    [
        "runs=elsewhere",
        "cluster.cpus=7",
        "tracker=wandb",
        "rollout.replicas=5",
        "learner.ranks=1",
        "fresh=true",
        "export.every=9",
    ],
)
def test_place_and_pace_are_no_part_of_the_identity(override: str) -> None:
    assert identity(override) == identity()


@pytest.mark.parametrize(
    "override", ["seed=1", "rounds=4", "algorithm.loss.beta=0.2", "learner.zero_stage=3", "rollout.temperature=0.9"]
)
def test_whatever_changes_the_data_changes_the_identity(override: str) -> None:
    assert identity(override) != identity()


def test_content_counts_where_a_path_does_not(tmp_path: Path) -> None:
    assert identity(prompts="q") != identity()
    assert identity(model="n") != identity()
    assert identity("model.path=elsewhere") == identity()
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("{instruction}{answer_a}{answer_b}")
    osp = ["experiment=osp_smoke"]
    one, two = (identity_of(compose([*osp, f"judge.template={tmp_path}/{n}.txt"]), "p", "m") for n in "ab")
    assert one == two
    (tmp_path / "b.txt").write_text("other {instruction}{answer_a}{answer_b}")
    assert identity_of(compose([*osp, f"judge.template={tmp_path}/b.txt"]), "p", "m") != one


def test_a_model_is_known_by_its_content(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(bytes(9_000_000))
    assert model_fingerprint(str(tmp_path / "a")) == model_fingerprint(str(tmp_path / "b"))
    weights = bytearray(9_000_000)
    weights[:70_000] = b"x" * 70_000
    (tmp_path / "b" / "model.safetensors").write_bytes(bytes(weights))
    assert model_fingerprint(str(tmp_path / "a")) != model_fingerprint(str(tmp_path / "b"))


def test_the_folder_says_what_ran() -> None:
    config = compose(["experiment=demo"])
    assert run_folder(config, "0123456789abcdef").name == "demo-iterative_dpo_nll-verifier-01234567"


def test_a_folder_of_another_identity_is_refused_and_its_own_is_found(tmp_path: Path) -> None:
    config, folder = compose(["experiment=demo"]), tmp_path / "run"
    assert claim(folder, "a" * 32, config) == folder
    assert not folder.exists(), "claiming writes nothing"
    begin(folder, "a" * 32, "rounds: 3\n")
    assert claim(folder, "a" * 32, config) == folder
    with pytest.raises(Refused, match="another identity"):
        claim(folder, "b" * 32, config)


def test_a_run_that_sampled_something_is_not_started_over(tmp_path: Path) -> None:
    begin(tmp_path, "a" * 32, "")
    assert summary_if_finished(tmp_path) is None, "it ended before it began: it may start again"
    (tmp_path / "ledger" / "responses").mkdir(parents=True)
    with pytest.raises(Refused, match="did not finish"):
        summary_if_finished(tmp_path)


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        with pytest.raises(Refused, match="being run by another process"), locked(tmp_path / "run"):
            pass
        assert claim(tmp_path / "run", "a" * 32, compose(["experiment=demo"])) == tmp_path / "run"
    with locked(tmp_path / "run"):
        pass


def test_fresh_starts_beside(tmp_path: Path) -> None:
    config, folder = compose(["experiment=demo", "fresh=true"]), tmp_path / "run"
    begin(folder, "a" * 32, "")
    begin(tmp_path / "run.2", "a" * 32, "")
    assert claim(folder, "a" * 32, config) == tmp_path / "run.3"
    assert claim(folder, "a" * 32, compose(["experiment=demo"])) == tmp_path / "run.2", "the newest is found again"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Refused, match="not the folder of a run"):
        claim(tmp_path, "a" * 32, compose(["experiment=demo"]))

from __future__ import annotations

from pathlib import Path

import pytest

from loop.composition import compose
from loop.fingerprint import model_fingerprint
from loop.identity import identity_of, run_folder


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


def test_a_fork_is_another_run() -> None:
    config = compose(["experiment=demo"])
    assert identity_of(config, "p", "m", "a@r1-s8") != identity_of(config, "p", "m")
    assert identity_of(config, "p", "m", "a@r1-s8") != identity_of(config, "p", "m", "a@r2-s8")

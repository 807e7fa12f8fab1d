"""Engines that are given other policies than the learners' latest, and a system that serves one run after another, with
real Ray, vLLM and DeepSpeed on the small policy."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from actors.adopting import refuse_other_actors
from actors.launch import execute, prepare, run_in
from actors.system import System
from loop.composition import compose
from loop.config import RunConfig
from loop.errors import InfrastructureFailed, Refused
from loop.evaluation.splits import TEST
from loop.ledger import TABLES, Ledger
from loop.records import INITIAL, PolicyVersion, Response, Telemetry
from loop.requests import evaluation_requests
from loop.shards import read_shards
from loop.summary import RunSummary
from loop.task import Task
from loop.validation import validate
from loop.view import View, open_view

pytestmark = pytest.mark.engine

SMALL = [
    "experiment=demo",
    "rounds=2",
    "prompts.per_round=32",
    "rollout.replicas=1",
    "learner.ranks=1",
    "evaluate.gate_share=0.9",
    "gate=off",
]
FIRST = [*SMALL, "seed=1", "learner.batch_examples=8"]
SECOND = [*SMALL, "seed=2", "algorithm=inpo", "judge=majority", "learner.zero_stage=3", "learner.weight_decay=0.1"]
"""Another recipe, which compares, another judge, another optimiser, and an anchor that is read from a file."""


def configured(folder: Path, overrides: list[str]) -> RunConfig:
    return validate(compose([*overrides, f"folder={folder}"]))


def quiet() -> View:
    return open_view(io.StringIO(), {})


@dataclasses.dataclass
class Scene:
    """A system, what its engine said before anything was learnt, and a run that it then ran."""

    system: System
    task: Task
    texts_T: list[list[int]]
    initial: list[list[float]]
    summary: RunSummary
    told: list[Telemetry]

    def versions(self) -> list[PolicyVersion]:
        """The policies with which rounds ended, the initial one first."""
        return [INITIAL, *(PolicyVersion.parse(one.policy) for one in self.summary.rounds)]

    def said(self, version: PolicyVersion) -> list[list[float]]:
        """Log-probs of the texts, in the engine, which has to serve a version."""
        (engine,) = self.system._rollouts.serving()
        logprobs: list[list[float]] = ray.get(engine.text_logprobs.remote(str(version), self.texts_T))
        return logprobs

    def expected(self, version: PolicyVersion) -> list[list[float]]:
        """The same from the exported checkpoint, in plain transformers."""
        import torch
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(self.task.checkpoint(version.round), dtype=torch.float32)
        with torch.no_grad():
            rows = [model(torch.tensor([text])).logits[0, :-1].log_softmax(-1) for text in self.texts_T]
        return [
            row.gather(1, torch.tensor(text[1:])[:, None])[:, 0].tolist()
            for row, text in zip(rows, self.texts_T, strict=True)
        ]


def nearly(rows: list[list[float]]) -> list[Any]:
    return [pytest.approx(row, abs=1e-4) for row in rows]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    config = configured(tmp_path_factory.mktemp("first") / "run", FIRST)
    task, told = prepare(config), list[Telemetry]()
    with System(task, told.append, lambda _: None) as system:
        texts_T = [prompt.tokens_T[:40] for prompt in task.pool.test[:8]]
        made = Scene(system, task, texts_T, [], None, told)  # type: ignore[arg-type]
        made.initial = made.said(INITIAL)
        made.summary = run_in(system, config, quiet())
        system._told.tell = told.append
        yield made


def test_a_trained_system_serves_the_initial_policy_as_it_was_an_exported_one_and_its_own_again(scene: Scene) -> None:
    initial, first, last = scene.versions()
    assert scene.system.holds() == last
    own = scene.said(last)
    assert own == nearly(scene.expected(last))
    for _ in range(2):
        scene.system.serve(initial)
        assert scene.system.holds() == initial
        assert scene.said(initial) == scene.initial != own
        with pytest.raises(Exception, match=f"asked for version {last} but serves {initial}"):
            scene.said(last)
        scene.system.serve(first)
        assert scene.said(first) == nearly(scene.expected(first))
    scene.system.serve(last)
    assert scene.said(last) == own


def test_what_is_held_already_is_not_sent_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.system.serve(INITIAL)
    monkeypatch.setattr("actors.serving.push_weights", None)
    scene.system.serve(INITIAL)
    assert scene.system.holds() == INITIAL and scene.said(INITIAL) == scene.initial


def test_an_export_that_was_exchanged_is_found(scene: Scene) -> None:
    _, first, last = scene.versions()
    scene.system.serve(INITIAL)
    file = scene.task.checkpoint(first.round) / "model.safetensors"
    kept = file.read_bytes()
    file.write_bytes((scene.task.checkpoint(last.round) / "model.safetensors").read_bytes())
    try:
        with pytest.raises(InfrastructureFailed, match=f"does not hold policy {first}: its tensors"):
            scene.system.serve(first)
    finally:
        file.write_bytes(kept)
    scene.system.serve(last)
    scene.system.serve(first)
    assert scene.said(first) == nearly(scene.expected(first))


def test_a_policy_that_was_not_exported_is_refused_and_the_engines_go_on(scene: Scene) -> None:
    scene.system.serve(INITIAL)
    with pytest.raises(
        Refused, match=r"^policy r7-s70 is asked for again, .*round-007 is not there: .* export\.every=1"
    ):
        scene.system.serve(PolicyVersion(7, 70))
    assert scene.said(INITIAL) == scene.initial


def test_an_engine_that_dies_while_it_serves_another_policy_gets_that_one_back(scene: Scene) -> None:
    _, first, last = scene.versions()
    scene.system.serve(first)
    said, asked = scene.said(first), evaluation_requests(scene.task, 9, first, TEST)[:1]
    asked = [dataclasses.replace(asked[0], prompts_path=prompts_of(scene.task))]
    sampled = read_shards(list(scene.system.generate(asked)), Response)
    (engine,) = scene.system._rollouts.serving()
    pid = ray.get(engine.__ray_call__.remote(pid_of))
    os.kill(pid, signal.SIGKILL)
    assert read_shards(list(scene.system.generate(asked)), Response) == sampled
    assert ray.get(engine.__ray_call__.remote(pid_of)) != pid
    assert scene.said(first) == said
    scene.system.serve(last)


def test_learners_that_die_are_back_before_their_policy_or_another_one_is_served(scene: Scene) -> None:
    initial, _, last = scene.versions()
    scene.system.serve(last)
    own = scene.said(last)
    for version, said in ((initial, scene.initial), (last, own)):
        (pid,) = scene.system._learners.group.pids()
        os.kill(pid, signal.SIGKILL)
        scene.system.serve(version)
        assert scene.said(version) == said
    assert [one.event for one in scene.told if one.actor == "learners"] == ["died", "restarted"] * 2


def test_log_probs_come_from_any_version(scene: Scene) -> None:
    initial, first, last = scene.versions()
    shards = list(Ledger(scene.task.store).committed("evaluation_responses", 2).values())
    sums = {}
    for version in (initial, first, last):
        (ref,) = scene.system.log_probs("draft_anchors", 9, shards, version)
        sums[version] = ref.stats["logprob"]
    assert sums[last] == pytest.approx(sum(ref.stats["logprob"] for ref in shards), abs=1e-2)
    assert len({round(total, 1) for total in sums.values()}) == 3
    digests = {row["version"]: row["digest"] for row in Ledger(scene.task.store).read("policies").to_pylist()}
    assert {str(version): scene.system._serving.digest_of(version) for version in sums} == digests


def prompts_of(task: Task) -> str:
    (ref,) = Ledger(task.store).committed("prompts", 0).values()
    return ref.path


def pid_of(actor: Any) -> int:
    return os.getpid()


def test_another_run_in_the_same_system_is_what_it_is_in_one_of_its_own(scene: Scene, tmp_path: Path) -> None:
    scene.system.serve(scene.versions()[1])
    processes = pids(scene.system)
    shared = run_in(scene.system, configured(tmp_path / "shared" / "run", SECOND), quiet())
    assert pids(scene.system) == processes
    with_others = run_in(scene.system, configured(tmp_path / "again" / "run", FIRST), quiet())
    assert told(with_others) == told(scene.summary)
    assert rows(tmp_path / "again" / "run") == rows(scene.task.folder)
    assert run_in(scene.system, configured(tmp_path / "again" / "run", FIRST), quiet()) == with_others
    ray.shutdown()  # the fresh one starts a Ray of its own
    fresh = execute(prepare(configured(tmp_path / "fresh" / "run", SECOND)), quiet(), 0.0)
    assert shared.finished and shared.rounds[-1].steps > 0
    assert told(shared) == told(fresh)
    assert rows(tmp_path / "shared" / "run") == rows(tmp_path / "fresh" / "run")


def pids(system: System) -> list[int]:
    actors = [*system._rollouts.handles, *system._judges.handles]
    return [*ray.get([actor.__ray_call__.remote(pid_of) for actor in actors]), *system._learners.group.pids()]


def told(summary: RunSummary) -> list[Any]:
    """What a summary says that depends on neither time nor place."""
    rounds = [summary.initial, *summary.rounds]
    return [dataclasses.replace(one, seconds={}, checkpoint=None) for one in rounds]


def rows(folder: Path) -> dict[str, list[Any]]:
    """Every table of a ledger but telemetry, its rows in some order of their own."""
    ledger = Ledger(str(folder / "ledger"))
    tables = {name: ledger.read(name).to_pylist() for name in TABLES if name != "telemetry"}
    return {name: sorted(map(repr, found)) for name, found in tables.items()}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("rollout.max_context=128", r"rollout\.max_context: 256 -> 128"),
        ("learner.ranks=2", r"learner\.ranks: 1 -> 2"),
        ("rollout.replicas=2", r"rollout\.replicas: 1 -> 2"),
        ("model.dtype=bfloat16", r"model\.dtype: float32 -> bfloat16"),
    ],
)
def test_a_run_that_needs_other_processes_is_refused(tmp_path: Path, change: str, named: str) -> None:
    held, other = prepare(configured(tmp_path / "a", FIRST)), prepare(configured(tmp_path / "b", [*FIRST, change]))
    with pytest.raises(Refused, match=f"^b cannot go on with the engines and learners that are there: {named}$"):
        refuse_other_actors(held, other)
    refuse_other_actors(held, prepare(configured(tmp_path / "c", SECOND)))

"""The push as the driver does it, through Ray: scripted engines for what goes wrong, a real one for what goes right."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest
import ray
import torch
from ray import cloudpickle

from actors.engine_settings import EngineSpec
from actors.push import probe, push_weights, refresh_engine
from actors.rollout import RolloutActor
from loop.errors import InfrastructureFailed, ProcessDied
from loop.push import Manifest, Reading, TensorSpec, layer_groups
from loop.push_faults import manifest_faults

pytestmark = pytest.mark.engine
cloudpickle.register_pickle_by_value(sys.modules[__name__])

TIMEOUT_S = 30.0
TEXTS = [[(7 * at + 13 * start) % 250 + 3 for at in range(70)] for start in range(8)]
RIGHT, WRONG = Reading(((-1.0, -2.0),), (-2.0,)), Reading(((-1.5, -2.0),), (-2.0,))
NAMES = ["embed.weight", *(f"layers.{at}.weight" for at in range(5)), "lm_head.weight"]


def tensors(shift: float) -> dict[str, torch.Tensor]:
    return {name: torch.full((64,), at + shift) for at, name in enumerate(NAMES)}


def manifest(version: str, shift: float) -> Manifest:
    return Manifest(version, tuple(TensorSpec.of(name, tensor) for name, tensor in tensors(shift).items()))


class ScriptedEngine:
    """What a `RolloutActor` shows of itself in a push; `script` says what goes wrong."""

    def __init__(self, script: str = "") -> None:
        self.script = script
        self.open = False
        self.received: list[TensorSpec] = []
        self.served: str | None = None

    def play(self, script: str) -> None:
        self.script = script

    def begin_push(self, version: str) -> None:
        self.open, self.received, self.served = True, [], None

    def load(self, group: dict[str, torch.Tensor]) -> None:
        if self.script == "silent" and "embed.weight" in group:
            time.sleep(6)
        if self.script == "dies" and "layers.2.weight" in group:
            os._exit(1)
        if self.script == "refuses":
            raise InfrastructureFailed("the model has no such tensor")
        if not self.open:
            raise InfrastructureFailed("no push is open to the engine")
        if self.script == "loses" and "layers.2.weight" in group:
            return
        self.received += [TensorSpec.of(name, tensor) for name, tensor in group.items()]

    def finish_push(self, manifest: Manifest, previous: Manifest | None) -> None:
        if faults := manifest_faults(self.received, manifest, previous):
            raise InfrastructureFailed("; ".join(faults))
        self.served = manifest.version

    def read_probe(self, texts_T: list[list[int]]) -> Reading:
        if self.script == "dies":
            os._exit(1)
        return WRONG if self.script == "wrong" else RIGHT

    def quarantine(self, why: str) -> None:
        self.served = None

    def state(self) -> tuple[str | None, list[str]]:
        return self.served, [spec.name for spec in self.received]


class Sender:
    """Rank 0 of a learner, as far as a push sees it."""

    def stream(self, version: str, shift: float, script: str = "") -> Iterator[Any]:
        sent = tensors(shift)
        for group in layer_groups(NAMES):
            if script == "dies" and "layers.3.weight" in group:
                os._exit(1)
            if script == "breaks" and "layers.3.weight" in group:
                raise InfrastructureFailed("the gather of layer 3 timed out")
            yield {name: sent[name] for name in group}
        if script != "unfinished":
            yield manifest("other" if script == "mislabelled" else version, shift)

    def stream_model(self, path: str) -> Iterator[Any]:
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.05)
        sent = {name: parameter.detach() for name, parameter in model.named_parameters()}
        sent["lm_head.weight"] = model.lm_head.weight.detach()
        for group in layer_groups(list(sent)):
            yield {name: sent[name] for name in group}
        yield Manifest("v1", tuple(TensorSpec.of(name, tensor) for name, tensor in sent.items()))
        rows = [torch.log_softmax(model(torch.tensor([text])).logits[0, :-1], -1).detach() for text in TEXTS]
        forced = [
            row.gather(1, torch.tensor(text[1:])[:, None])[:, 0].tolist() for row, text in zip(rows, TEXTS, strict=True)
        ]
        self.reading = Reading.without_cache(forced)

    def read(self) -> Reading:
        return self.reading


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    folder = tempfile.mkdtemp(prefix="r")
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=200_000_000,
        _temp_dir=folder,
        log_to_driver=False,
        runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
    )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def start(kind: type, *args: Any) -> Any:
    return ray.remote(kind).options(num_cpus=0.5).remote(*args)


@pytest.fixture(scope="module")
def sender(cluster: None) -> Any:
    return start(Sender)


@pytest.fixture(scope="module")
def scripted(cluster: None) -> list[Any]:
    return [start(ScriptedEngine), start(ScriptedEngine)]


@pytest.fixture
def engines(scripted: list[Any]) -> list[Any]:
    """Two engines that do as they should; a test may give the second one another script."""
    ray.get([engine.play.remote("") for engine in scripted])
    return scripted


def stream_of(sender: Any, *args: Any, method: str = "stream") -> Iterator[Any]:
    """A stream that does not run ahead of its reader, as a learner's."""
    options = {"num_returns": "streaming", "_generator_backpressure_num_objects": 2}
    return iter(getattr(sender, method).options(**options).remote(*args))


def test_every_engine_gets_every_group_in_order(engines: list[Any], sender: Any) -> None:
    v1, failed = push_weights(stream_of(sender, "v1", 0.0), engines, "v1", None, TIMEOUT_S)
    assert (v1, failed) == (manifest("v1", 0.0), [])
    push_weights(stream_of(sender, "v2", 0.5), engines, "v2", v1, TIMEOUT_S)
    assert ray.get([engine.state.remote() for engine in engines]) == [("v2", NAMES)] * 2
    reports, failed = probe(engines, TEXTS, RIGHT, None, 1e-3, TIMEOUT_S)
    assert ([report.gap for report in reports], failed) == ([0.0, 0.0], [])


def test_an_engine_that_lost_a_group_is_named(engines: list[Any], sender: Any) -> None:
    ray.get(engines[1].play.remote("loses"))
    with pytest.raises(InfrastructureFailed, match=r"^pushing version v1: engine 1: decoder layer 2 was omitted"):
        push_weights(stream_of(sender, "v1", 0.0), engines, "v1", None, TIMEOUT_S)
    assert ray.get([engine.state.remote() for engine in engines]) == [("v1", NAMES), (None, [*NAMES[:3], *NAMES[4:]])]


def test_an_engine_that_dies_is_left_behind(engines: list[Any], sender: Any) -> None:
    dying = start(ScriptedEngine, "dies")
    assert push_weights(stream_of(sender, "v1", 0.0), [dying, engines[0]], "v1", None, TIMEOUT_S)[1] == [dying]
    assert ray.get(engines[0].state.remote()) == ("v1", NAMES)


def test_an_engine_that_was_dead_before_is_left_behind(engines: list[Any], sender: Any) -> None:
    dead = start(ScriptedEngine)
    ray.get(dead.state.remote())
    ray.kill(dead)
    assert push_weights(stream_of(sender, "v1", 0.0), [dead, engines[0]], "v1", None, TIMEOUT_S)[1] == [dead]
    assert ray.get(engines[0].state.remote()) == ("v1", NAMES)


def test_an_engine_that_restarts_between_two_groups_is_left_behind(engines: list[Any], sender: Any) -> None:
    restarted = ray.remote(ScriptedEngine).options(num_cpus=0.5, max_restarts=-1).remote()
    pid = ray.get(restarted.__ray_call__.remote(lambda engine: os.getpid()))
    groups = stream_of(sender, "v1", 0.0)

    def killing() -> Iterator[Any]:
        for at, reference in enumerate(groups):
            if at == 6:
                ray.get(restarted.state.remote())
                os.kill(pid, signal.SIGKILL)
                ray.get(restarted.__ray_call__.options(max_task_retries=-1).remote(lambda engine: None))
            yield reference

    assert push_weights(killing(), [engines[0], restarted], "v1", None, TIMEOUT_S)[1] == [restarted]
    assert ray.get([engine.state.remote() for engine in (engines[0], restarted)]) == [("v1", NAMES), (None, [])]


def test_a_silent_engine_is_left_behind(engines: list[Any], sender: Any) -> None:
    ray.get(engines[1].play.remote("silent"))
    assert push_weights(stream_of(sender, "v1", 0.0), engines, "v1", None, 3.0)[1] == [engines[1]]
    assert ray.get(engines[0].state.remote()) == ("v1", NAMES)


def test_without_any_engine_left_the_learner_is_not_left_waiting(engines: list[Any], sender: Any) -> None:
    groups = stream_of(sender, "v1", 0.0)
    with pytest.raises(ProcessDied, match=r"^pushing version v1: no engine is left: engine 0: a process died"):
        push_weights(groups, [start(ScriptedEngine, "dies")], "v1", None, TIMEOUT_S)
    assert list(groups) == []
    push_weights(stream_of(sender, "v2", 0.5), engines, "v2", None, TIMEOUT_S)


def test_an_engine_s_fault_ends_the_push_and_the_learner_is_not_left_waiting(engines: list[Any], sender: Any) -> None:
    ray.get(engines[1].play.remote("refuses"))
    groups = stream_of(sender, "v1", 0.0)
    with pytest.raises(InfrastructureFailed, match=r"^pushing version v1: engine 1: the model has no such tensor"):
        push_weights(groups, engines, "v1", None, TIMEOUT_S)
    assert list(groups) == []


def test_the_death_of_the_learner_is_not_an_engine_s(engines: list[Any]) -> None:
    with pytest.raises(ProcessDied, match=r"^pushing version v1: the learner: a process died"):
        push_weights(stream_of(start(Sender), "v1", 0.0, "dies"), engines, "v1", None, TIMEOUT_S)
    assert [state[0] for state in ray.get([engine.state.remote() for engine in engines])] == [None, None]


def test_one_engine_is_refreshed_or_lost(engines: list[Any], sender: Any) -> None:
    assert refresh_engine(stream_of(sender, "v3", 0.7), engines[1], "v3", TIMEOUT_S)
    assert ray.get(engines[1].state.remote()) == ("v3", NAMES)
    assert not refresh_engine(stream_of(sender, "v3", 0.7), start(ScriptedEngine, "dies"), "v3", TIMEOUT_S)


def test_a_push_passes_the_points_where_it_may_be_cut(
    engines: list[Any], sender: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []
    monkeypatch.setattr("actors.push.reached", passed.append)
    push_weights(stream_of(sender, "v1", 0.0), engines, "v1", None, TIMEOUT_S)
    assert passed == ["push/begun", "push/loading", "push/finished"]


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("breaks", "the learner: the gather of layer 3 timed out"),
        ("unfinished", "the learner's stream ended without a manifest"),
        ("mislabelled", "the learner sent the manifest of version other"),
    ],
)
def test_a_learner_that_fails_is_named(engines: list[Any], sender: Any, script: str, named: str) -> None:
    with pytest.raises(InfrastructureFailed, match=f"^pushing version v1: {named}"):
        push_weights(stream_of(sender, "v1", 0.0, script), engines, "v1", None, TIMEOUT_S)
    assert [state[0] for state in ray.get([engine.state.remote() for engine in engines])] == [None, None]


def test_an_engine_that_the_probe_contradicts_is_quarantined(engines: list[Any], sender: Any) -> None:
    push_weights(stream_of(sender, "v1", 0.0), engines, "v1", None, TIMEOUT_S)
    ray.get(engines[1].play.remote("wrong"))
    with pytest.raises(
        InfrastructureFailed, match=r"^engine 1: the weights in effect differ .* 0\.5 at text 0, token 1"
    ):
        probe(engines, [[1, 2, 3]], RIGHT, None, 1e-3, TIMEOUT_S)
    assert [state[0] for state in ray.get([engine.state.remote() for engine in engines])] == ["v1", None]


def test_an_engine_that_dies_in_the_probe_is_left_behind(engines: list[Any]) -> None:
    dying = start(ScriptedEngine, "dies")
    reports, failed = probe([dying, engines[0]], [[1, 2, 3]], RIGHT, None, 1e-3, TIMEOUT_S)
    assert ([report.gap for report in reports], failed) == ([0.0], [dying])
    with pytest.raises(ProcessDied, match=r"^probing the engines: no engine is left"):
        probe([dying], [[1, 2, 3]], RIGHT, None, 1e-3, TIMEOUT_S)


def test_a_real_engine_takes_a_push_through_the_object_store(sender: Any, tiny_model_path: str) -> None:
    spec = EngineSpec(tiny_model_path, "float32", 128, 64, 0.125, 0.2, True, True)
    engine = start(RolloutActor, spec, 1, "v0")
    push_weights(stream_of(sender, tiny_model_path, method="stream_model"), [engine], "v1", None, 300.0)
    (report,), _ = probe([engine], TEXTS, ray.get(sender.read.remote()), None, 1e-3, TIMEOUT_S)
    assert report.gap < 1e-4
    assert ray.get(engine.version.remote()) == "v1"

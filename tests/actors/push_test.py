"""The push as the driver does it, through Ray: scripted engines for what goes wrong, a real one for what goes right."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray import cloudpickle

from actors.engine_settings import EngineSpec
from actors.push import probe, push_weights
from actors.rollout import RolloutActor
from loop.errors import InfrastructureFailed
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
        self.received: list[TensorSpec] = []
        self.served: str | None = None

    def play(self, script: str) -> None:
        self.script = script

    def begin_push(self, version: str) -> None:
        self.received, self.served = [], None

    def load(self, group: dict[str, torch.Tensor]) -> None:
        if self.script == "silent" and "embed.weight" in group:
            time.sleep(6)
        if self.script == "dies":
            os._exit(1)
        if self.script == "loses" and "layers.2.weight" in group:
            return
        self.received += [TensorSpec.of(name, tensor) for name, tensor in group.items()]

    def finish_push(self, manifest: Manifest, previous: Manifest | None) -> None:
        if faults := manifest_faults(self.received, manifest, previous):
            raise InfrastructureFailed("; ".join(faults))
        self.served = manifest.version

    def read_probe(self, texts_T: list[list[int]]) -> Reading:
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
    v1 = push_weights(stream_of(sender, "v1", 0.0), engines, "v1", None, TIMEOUT_S)
    assert v1 == manifest("v1", 0.0)
    push_weights(stream_of(sender, "v2", 0.5), engines, "v2", v1, TIMEOUT_S)
    assert ray.get([engine.state.remote() for engine in engines]) == [("v2", NAMES)] * 2
    reports = probe(engines, TEXTS, RIGHT, None, 1e-3, TIMEOUT_S)
    assert [report.gap for report in reports] == [0.0, 0.0]


def test_an_engine_that_lost_a_group_is_named(engines: list[Any], sender: Any) -> None:
    ray.get(engines[1].play.remote("loses"))
    with pytest.raises(InfrastructureFailed, match=r"^pushing version v1: engine 1: decoder layer 2 was omitted"):
        push_weights(stream_of(sender, "v1", 0.0), engines, "v1", None, TIMEOUT_S)
    assert ray.get([engine.state.remote() for engine in engines]) == [("v1", NAMES), (None, [*NAMES[:3], *NAMES[4:]])]


def test_an_engine_that_dies_is_named_and_the_learner_is_not_left_waiting(engines: list[Any], sender: Any) -> None:
    with pytest.raises(InfrastructureFailed, match=r"^pushing version v1: engine 1: a process died"):
        push_weights(stream_of(sender, "v1", 0.0), [engines[0], start(ScriptedEngine, "dies")], "v1", None, TIMEOUT_S)
    push_weights(stream_of(sender, "v2", 0.5), engines, "v2", None, TIMEOUT_S)
    assert ray.get(engines[0].state.remote()) == ("v2", NAMES)


def test_a_silent_engine_ends_the_push(engines: list[Any], sender: Any) -> None:
    ray.get(engines[1].play.remote("silent"))
    with pytest.raises(InfrastructureFailed, match=r"engine 1: not finished within 3 s"):
        push_weights(stream_of(sender, "v1", 0.0), engines, "v1", None, 3.0)


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


def test_a_real_engine_takes_a_push_through_the_object_store(sender: Any, tiny_model_path: str, tmp_path: Path) -> None:
    spec = EngineSpec(tiny_model_path, "float32", 128, 64, 0.125, 0.2, True, True)
    engine = start(RolloutActor, spec, str(tmp_path), 1, "v0")
    push_weights(stream_of(sender, tiny_model_path, method="stream_model"), [engine], "v1", None, 300.0)
    (report,) = probe([engine], TEXTS, ray.get(sender.read.remote()), None, 1e-3, TIMEOUT_S)
    assert report.gap < 1e-4
    assert ray.get(engine.version.remote()) == "v1"

"""What every transport must do, checked over the object store and over a process group as GPU transports use one.

The second is a stand-in for NCCL: another process broadcasts each tensor (gloo), the engine knows names, formats and
shapes beforehand. Registry, update cycle, digests and counts are the very ones that a GPU transport runs through.
"""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import torch
from torch.distributed import ProcessGroupGloo, TCPStore

from actors.engine import Engine
from loop.push import Manifest, diagnose, layer_groups
from loop.push_faults import manifest_faults
from tests.actors.conftest import tiny_spec

if TYPE_CHECKING:
    from tests.actors.conftest import Learner

pytestmark = pytest.mark.engine

TIMEOUT = timedelta(seconds=60)
TEXTS = [[(5 * at + 11 * start) % 250 + 3 for at in range(70)] for start in range(4)]
Tensors = dict[str, torch.Tensor]


class Sender(Protocol):
    """The learner's end of a transport."""

    def load(self, engine: Engine, group: Tensors) -> None: ...


class StoreSender:
    """Tensors travel as arguments."""

    def load(self, engine: Engine, group: Tensors) -> None:
        engine.load(group)


class GroupSender:
    """Tensors travel by broadcast from another process; the call carries what they look like."""

    def __init__(self, sender: Connection) -> None:
        self.sender = sender

    def load(self, engine: Engine, group: Tensors) -> None:
        self.sender.send(list(group.values()))
        engine.load({name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in group.items()})  # type: ignore[misc]


def broadcast_forever(port: int, orders: Connection) -> None:
    """The other process: rank 0 of the group."""
    torch.set_num_threads(1)
    group = ProcessGroupGloo(TCPStore("127.0.0.1", port, 2, True, TIMEOUT), 0, 2, TIMEOUT)
    while (tensors := orders.recv()) is not None:
        for tensor in tensors:
            group.broadcast(tensor, 0).wait()


def gloo_backend(port: int) -> str:
    """Register a transport that receives by broadcast."""
    from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory

    from actors.transfer import CountedTransfer, StoreInit, StoreUpdate

    class GlooTransfer(CountedTransfer[StoreInit, StoreUpdate]):
        init_info_cls = StoreInit
        update_info_cls = StoreUpdate

        def init_transfer_engine(self, init_info: StoreInit) -> None:
            self.group = ProcessGroupGloo(TCPStore("127.0.0.1", port, 2, False, TIMEOUT), 1, 2, TIMEOUT)

        def arriving(self, update_info: StoreUpdate) -> Iterator[tuple[str, torch.Tensor]]:
            announced: Any = update_info.tensors
            for name, (dtype, shape) in announced.items():
                tensor = torch.empty(shape, dtype=dtype)
                self.group.broadcast(tensor, 0).wait()
                yield name, tensor

    WeightTransferEngineFactory.register_engine("gloo_broadcast", GlooTransfer)
    return "gloo_broadcast"


@pytest.fixture(scope="module")
def over_group(tiny_model_path: str) -> Iterator[tuple[Engine, Sender]]:
    """An engine and a sender in another process, joined by a process group."""
    import actors.transfer

    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    process = context.Process(target=broadcast_forever, args=(port, there), daemon=True)
    process.start()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(actors.transfer, "register", lambda: gloo_backend(port))
        engine = Engine(tiny_spec(tiny_model_path))
    yield engine, GroupSender(here)
    here.send(None)
    process.join(timeout=30)
    assert process.exitcode == 0


@pytest.fixture(params=["object_store", "process_group"])
def ends(request: pytest.FixtureRequest) -> tuple[Engine, Sender]:
    """Both ends of a transport."""
    if request.param == "object_store":
        return request.getfixturevalue("engine"), StoreSender()
    return request.getfixturevalue("over_group")


def push(ends: tuple[Engine, Sender], tensors: Tensors, manifest: Manifest) -> list[str]:
    """One whole update; what is wrong with it."""
    engine, sender = ends
    engine.begin()
    for group in layer_groups(list(tensors)):
        sender.load(engine, {name: tensors[name] for name in group})
    received = engine.finish(manifest.version)
    return [*manifest_faults(received.tensors, manifest, None), *received.incomplete]


def test_a_push_arrives_whole_and_takes_effect(ends: tuple[Engine, Sender], learner: Learner) -> None:
    for version in ("v1", "v2"):
        learner.step()
        assert push(ends, learner.tensors(), learner.manifest(version)) == []
        assert diagnose(ends[0].read(TEXTS), learner.reading(TEXTS), None, 1e-4).faults == ()


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (lambda t: {n: v for n, v in t.items() if n != "lm_head.weight"}, "LM head was omitted"),
        (lambda t: {n: v for n, v in t.items() if ".layers.1." not in n}, "decoder layer 1 was omitted"),
        (lambda t: {n: v + 1 if n == "model.norm.weight" else v for n, v in t.items()}, "`model.norm.weight` arrived"),
    ],
)
def test_what_is_wrong_is_named(
    ends: tuple[Engine, Sender], learner: Learner, tamper: Callable[[Tensors], Tensors], named: str
) -> None:
    faults = push(ends, tamper(learner.tensors()), learner.manifest("v3"))
    assert any(named in fault for fault in faults)
    assert push(ends, learner.tensors(), learner.manifest("v4")) == []
    assert diagnose(ends[0].read(TEXTS), learner.reading(TEXTS), None, 1e-4).faults == ()

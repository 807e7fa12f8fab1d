"""Pushes that go wrong below the surface: the transaction names it, and without the transaction the probe notices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch

from actors.engine import Engine
from actors.rollout import RolloutActor
from loop.errors import InfrastructureFailed
from loop.push import Manifest, ProbeReport, Reading, diagnose, layer_groups

if TYPE_CHECKING:
    from tests.actors.conftest import Learner

pytestmark = pytest.mark.engine

TOLERANCE = 1e-3
TEXTS = [[(7 * at + 13 * start) % 250 + 3 for at in range(70)] for start in range(8)]
SWAPPED = ("model.layers.0.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight")
Tensors = dict[str, torch.Tensor]


def without(tensors: Tensors, part: str) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if part not in name}


def omitted_head(new: Tensors, old: Tensors) -> Tensors:
    return without(new, "lm_head")


def omitted_layer(new: Tensors, old: Tensors) -> Tensors:
    return without(new, ".layers.2.")


def swapped(new: Tensors, old: Tensors) -> Tensors:
    a, b = SWAPPED
    return {**new, a: new[b], b: new[a]}


def previous_again(new: Tensors, old: Tensors) -> Tensors:
    return old


DIFFER = "the weights in effect differ"
TAMPERINGS = [
    (omitted_head, r"the LM head was omitted \(`lm_head.weight`\); module lm_head got 0 of", DIFFER),
    (omitted_layer, r"decoder layer 2 was omitted.*module model\.layers\.2\.self_attn\.qkv_proj got 0 of", DIFFER),
    (swapped, f"`{SWAPPED[0]}` carries the content of `{SWAPPED[1]}` and the reverse", DIFFER),
    (
        previous_again,
        "the previous version v1 was sent again although v2 was announced",
        "the engine still serves the previous version",
    ),
]


@dataclass
class Scene:
    """An engine that serves v1, and a learner that has moved on to v2."""

    engine: Engine
    actor: RolloutActor
    old: Tensors
    new: Tensors
    manifests: tuple[Manifest, Manifest]
    readings: tuple[Reading, Reading]

    def send(self, tensors: Tensors, manifest: Manifest, previous: Manifest | None) -> None:
        """A push through the actor."""
        self.actor.begin_push(manifest.version)
        for group in layer_groups(list(tensors)):
            self.actor.load({name: tensors[name] for name in group})
        self.actor.finish_push(manifest, previous)

    def force(self, tensors: Tensors, version: str) -> None:
        """A push below the actor, so without any check of what arrives."""
        self.engine.prime(TEXTS)
        self.engine.begin()
        for group in layer_groups(list(tensors)):
            self.engine.load({name: tensors[name] for name in group})
        self.engine.finish(version)

    def report(self) -> ProbeReport:
        """The probe with v2 as the learner's version."""
        return diagnose(self.actor.read_probe(TEXTS), self.readings[1], self.readings[0], TOLERANCE)


def set_scene(engine: Engine, learner: Learner, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr("actors.rollout.Engine", lambda spec: engine)
    actor = RolloutActor(engine.spec, threads=1)
    old, manifest, reading = learner.tensors(), learner.manifest("v1"), learner.reading(TEXTS)
    learner.step()
    made = Scene(
        engine, actor, old, learner.tensors(), (manifest, learner.manifest("v2")), (reading, learner.reading(TEXTS))
    )
    made.send(old, manifest, None)
    actor.read_probe(TEXTS)
    return made


@pytest.fixture(params=["tied", "untied"])
def scene(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Scene:
    prefix = "" if request.param == "tied" else "untied_"
    engine: Engine = request.getfixturevalue(f"{prefix}engine")
    return set_scene(engine, request.getfixturevalue(f"{prefix}learner"), monkeypatch)


@pytest.fixture
def headless_scene(headless_engine: Engine, headless_learner: Learner, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """With a tied model for whose LM head vLLM has no module."""
    return set_scene(headless_engine, headless_learner, monkeypatch)


@pytest.fixture
def tied_scene(engine: Engine, learner: Learner, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return set_scene(engine, learner, monkeypatch)


def test_good_pushes_pass_one_after_the_other(scene: Scene) -> None:
    v1, v2 = scene.manifests
    scene.send(scene.new, v2, v1)
    assert scene.report().gap < 1e-4
    scene.send(scene.old, v1, v2)
    assert diagnose(scene.actor.read_probe(TEXTS), scene.readings[0], scene.readings[1], TOLERANCE).gap < 1e-4
    assert scene.actor.version() == "v1"


def test_the_order_of_groups_does_not_matter(scene: Scene) -> None:
    v1, v2 = scene.manifests
    scene.send(dict(reversed(scene.new.items())), v2, v1)
    assert scene.report().gap < 1e-4


@pytest.mark.parametrize(("tamper", "named", "probed"), TAMPERINGS, ids=lambda value: getattr(value, "__name__", ""))
class TestTampering:
    def test_the_transaction_names_it(self, scene: Scene, tamper, named: str, probed: str) -> None:  # type: ignore[no-untyped-def]
        v1, v2 = scene.manifests
        with pytest.raises(InfrastructureFailed, match=f"the push of version v2 failed: .*{named}"):
            scene.send(tamper(scene.new, scene.old), v2, v1)
        assert scene.actor.version() is None
        with pytest.raises(InfrastructureFailed, match="serves nothing because the push of version v2"):
            scene.actor.choice_logprobs("v2", TEXTS, [1])
        scene.send(scene.new, v2, v1)
        assert scene.report().gap < 1e-4
        assert len(scene.actor.choice_logprobs("v2", TEXTS, [1])) == len(TEXTS)

    def test_the_probe_alone_notices(self, scene: Scene, tamper, named: str, probed: str) -> None:  # type: ignore[no-untyped-def]
        scene.force(tamper(scene.new, scene.old), "v2")
        report = scene.report()
        assert report.gap > 10 * TOLERANCE
        assert [fault.startswith(probed) for fault in report.faults] == [True]


def test_the_transaction_names_a_cache_that_was_not_reset(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    v1, v2 = scene.manifests
    with monkeypatch.context() as tampered:
        tampered.setattr(scene.engine, "reset_cache", lambda: None)
        with pytest.raises(InfrastructureFailed, match="the prefix cache was not reset: it still held 64 tokens"):
            scene.send(scene.new, v2, v1)
    scene.send(scene.new, v2, v1)
    assert scene.report().faults == ()


@pytest.mark.parametrize(
    "texts_T",
    [[TEXTS[0]] * 8, [TEXTS[0][:64] + text[64:] for text in TEXTS], [*TEXTS[:7], TEXTS[0]]],
    ids=["identical", "one_prefix", "last_like_first"],
)
def test_texts_that_share_blocks_hide_and_feign_nothing(
    tied_scene: Scene, monkeypatch: pytest.MonkeyPatch, texts_T: list[list[int]]
) -> None:
    v1, v2 = tied_scene.manifests
    tied_scene.actor.read_probe(texts_T)
    tied_scene.send(tied_scene.new, v2, v1)
    assert tied_scene.actor.version() == "v2"
    with monkeypatch.context() as tampered:
        tampered.setattr(tied_scene.engine, "reset_cache", lambda: None)
        with pytest.raises(InfrastructureFailed, match="the prefix cache was not reset: it still held 64 tokens"):
            tied_scene.send(tied_scene.old, v1, v2)
    tied_scene.send(tied_scene.new, v2, v1)
    assert tied_scene.report().gap < 1e-4


def test_a_tied_head_that_vllm_has_no_module_for_still_counts(headless_scene: Scene) -> None:
    v1, v2 = headless_scene.manifests
    assert "lm_head.weight" in headless_scene.new
    headless_scene.send(headless_scene.new, v2, v1)
    assert headless_scene.actor.version() == "v2"
    assert headless_scene.report().gap < TOLERANCE
    with pytest.raises(InfrastructureFailed, match=r"the LM head was omitted \(`lm_head\.weight`\)"):
        headless_scene.send(omitted_head(headless_scene.old, headless_scene.new), v1, v2)
    headless_scene.force(headless_scene.old, "v1")
    assert headless_scene.report().faults[0].startswith("the engine still serves the previous version")


def test_the_probe_alone_names_a_stale_cache(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as tampered:
        tampered.setattr(scene.engine, "reset_cache", lambda: None)
        scene.force(scene.new, "v2")
    report = scene.report()
    assert report.gap > 10 * TOLERANCE
    assert [fault.startswith("stale prefix cache") for fault in report.faults] == [True]
    scene.engine.reset_cache()
    assert scene.report().faults == ()


def test_a_cache_that_vllm_does_not_reset_is_an_error(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene.engine.llm, "reset_prefix_cache", lambda: False)
    with pytest.raises(InfrastructureFailed, match="did not reset its prefix cache"):
        scene.engine.reset_cache()


@pytest.mark.parametrize(
    "name", ["model.layers.9.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight", "lm_head.weight"]
)
def test_a_tensor_that_does_not_fit_is_named_and_the_next_push_works(scene: Scene, name: str) -> None:
    v1, v2 = scene.manifests
    with pytest.raises(InfrastructureFailed, match=f"could not load tensor `{name}`"):
        scene.send({**scene.new, name: torch.ones(7, 5)}, v2, v1)
    assert scene.actor.version() is None
    with pytest.raises(InfrastructureFailed, match="no push is open"):
        scene.actor.load(scene.new)
    with pytest.raises(InfrastructureFailed, match="no push is open"):
        scene.actor.finish_push(v2, v1)
    scene.send(scene.new, v2, v1)
    assert scene.report().gap < 1e-4


def test_a_tensor_that_cannot_even_be_read_is_named(tied_scene: Scene) -> None:
    v1, v2 = tied_scene.manifests
    for sent in ([], ["model.norm.weight"]):
        tied_scene.actor.begin_push("v2")
        tied_scene.actor.load({name: tied_scene.new[name] for name in sent})
        with pytest.raises(InfrastructureFailed, match=r"could not load tensor `model\.embed_tokens\.weight`"):
            tied_scene.actor.load({"model.embed_tokens.weight": torch.empty(320, 128, device="meta")})
    tied_scene.send(tied_scene.new, v2, v1)
    assert tied_scene.report().gap < 1e-4


def test_a_push_that_was_abandoned_does_not_leak_into_the_next(scene: Scene) -> None:
    v1, v2 = scene.manifests
    scene.actor.begin_push("v2")
    half = {name: tensor + 1.0 for name, tensor in scene.new.items() if name.endswith("q_proj.weight")}
    scene.actor.load(half)
    assert scene.actor.version() is None
    with pytest.raises(InfrastructureFailed, match="cannot run while a push to it is open"):
        scene.actor.read_probe(TEXTS)
    scene.send(scene.new, v2, v1)
    assert scene.report().gap < 1e-4


def test_a_repeated_tensor_is_named(scene: Scene) -> None:
    v1, v2 = scene.manifests
    scene.actor.begin_push("v2")
    scene.actor.load(scene.new)
    scene.actor.load({"model.norm.weight": scene.new["model.norm.weight"]})
    with pytest.raises(InfrastructureFailed, match=r"`model\.norm\.weight` arrived more than once"):
        scene.actor.finish_push(v2, v1)

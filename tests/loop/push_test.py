"""Manifests, layer groups and the probe's diagnosis, without any engine."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loop.errors import Refused
from loop.push import (
    Manifest,
    Reading,
    TensorSpec,
    allowed_gap,
    diagnose,
    fixed_texts,
    layer_groups,
    refuse_oversized,
    tensor_digest,
)
from loop.push_faults import manifest_faults

NAMES = [
    "model.embed_tokens.weight",
    *(f"model.layers.{at}.{part}.weight" for at in range(12) for part in ("self_attn.q_proj", "mlp.up_proj")),
    "model.norm.weight",
    "lm_head.weight",
]


def manifest(version: str, shift: float = 0.0) -> Manifest:
    tensors = {name: torch.full((2, 3), at + shift) for at, name in enumerate(NAMES)}
    return Manifest(version, tuple(TensorSpec.of(name, tensor) for name, tensor in tensors.items()))


OLD, NEW = manifest("v1"), manifest("v2", 0.5)


def replaced(**specs: TensorSpec) -> list[TensorSpec]:
    return [specs.get(spec.name, spec) for spec in NEW.tensors]


def of(m: Manifest, name: str) -> TensorSpec:
    return next(spec for spec in m.tensors if spec.name == name)


def test_a_complete_push_has_no_faults_in_any_order() -> None:
    assert manifest_faults(list(reversed(NEW.tensors)), NEW, OLD) == []


def test_an_omitted_lm_head_is_called_so() -> None:
    received = [spec for spec in NEW.tensors if spec.name != "lm_head.weight"]
    assert manifest_faults(received, NEW, OLD) == ["the LM head was omitted (`lm_head.weight`)"]


def test_an_omitted_layer_is_called_by_its_number() -> None:
    (fault,) = manifest_faults([spec for spec in NEW.tensors if ".layers.2." not in spec.name], NEW, OLD)
    assert fault.startswith("decoder layer 2 was omitted (2 tensors: `model.layers.2.self_attn.q_proj.weight`")


def test_a_layer_omitted_in_part_names_its_tensors() -> None:
    received = [spec for spec in NEW.tensors if spec.name != "model.layers.2.mlp.up_proj.weight"]
    assert manifest_faults(received, NEW, OLD) == ["`model.layers.2.mlp.up_proj.weight` was omitted"]


def test_swapped_tensors_are_named_as_a_pair() -> None:
    a, b = "model.layers.0.mlp.up_proj.weight", "model.layers.7.mlp.up_proj.weight"
    received = replaced(**{a: replace(of(NEW, b), name=a), b: replace(of(NEW, a), name=b)})
    assert manifest_faults(received, NEW, OLD) == [f"`{a}` carries the content of `{b}` and the reverse"]


def test_a_copy_of_another_tensor_is_named() -> None:
    a, b = "model.layers.0.mlp.up_proj.weight", "model.layers.7.mlp.up_proj.weight"
    assert manifest_faults(replaced(**{a: replace(of(NEW, b), name=a)}), NEW, OLD) == [
        f"`{a}` carries the content of `{b}`"
    ]


def test_the_previous_version_sent_again_is_named() -> None:
    (fault,) = manifest_faults(OLD.tensors, NEW, OLD)
    assert fault.startswith(
        "the previous version v1 was sent again although v2 was announced (`model.embed_tokens.weight`"
    )
    assert fault.endswith(f"and {len(NAMES) - 6} more)")


def test_a_few_tensors_of_the_previous_version_are_named() -> None:
    name = "model.norm.weight"
    assert manifest_faults(replaced(**{name: of(OLD, name)}), NEW, OLD) == [
        "`model.norm.weight` still carries the content of the previous version v1"
    ]


def test_an_unchanged_version_under_a_new_name_is_a_fault() -> None:
    renamed = Manifest("v2", OLD.tensors)
    assert manifest_faults(OLD.tensors, renamed, OLD) == [
        "version v2 was announced with the content of the previous version v1"
    ]
    assert manifest_faults(OLD.tensors, OLD, OLD) == []


def test_unannounced_and_repeated_tensors_are_named() -> None:
    extra = TensorSpec.of("model.bias", torch.zeros(1))
    assert manifest_faults([*NEW.tensors, extra], NEW, OLD) == ["`model.bias` was sent without being announced"]
    assert manifest_faults([*NEW.tensors, NEW.tensors[0]], NEW, OLD) == [
        "`model.embed_tokens.weight` arrived more than once"
    ]


@pytest.mark.parametrize(
    ("tensor", "seen"),
    [(torch.ones(3, 2), "float32[3, 2]"), (torch.ones(2, 3, dtype=torch.bfloat16), "bfloat16[2, 3]")],
)
def test_wrong_shape_or_dtype_is_said(tensor: torch.Tensor, seen: str) -> None:
    received = replaced(**{"model.norm.weight": TensorSpec.of("model.norm.weight", tensor)})
    assert manifest_faults(received, NEW, OLD) == [f"`model.norm.weight` arrived as {seen} instead of float32[2, 3]"]


def test_corrupted_content_is_said() -> None:
    received = replaced(**{"model.norm.weight": TensorSpec.of("model.norm.weight", torch.full((2, 3), 99.0))})
    assert manifest_faults(received, NEW, OLD) == ["`model.norm.weight` arrived with other content than was announced"]


def test_layer_groups_go_from_embedding_to_head_whatever_the_order() -> None:
    groups = layer_groups(["lm_head.weight", *reversed(NAMES[:-1])])
    assert [len(group) for group in groups] == [1] + [2] * 12 + [2]
    assert groups[0] == ["model.embed_tokens.weight"]
    assert all(f".layers.{at}." in name for at, group in enumerate(groups[1:-1]) for name in group)
    assert set(groups[-1]) == {"model.norm.weight", "lm_head.weight"}


def test_an_expert_belongs_to_its_layer() -> None:
    names = [f"model.layers.{layer}.mlp.experts.{expert}.w1" for layer in range(2) for expert in range(3)]
    assert [len(group) for group in layer_groups(names)] == [3, 3]


@given(st.permutations(NAMES))
def test_layer_groups_lose_nothing(names: list[str]) -> None:
    assert sorted(name for group in layer_groups(names) for name in group) == sorted(NAMES)


def test_digests_tell_content_shape_and_dtype_apart_and_ignore_layout() -> None:
    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    bits = tensor.to(torch.bfloat16)
    others = [tensor + 1e-7, tensor.reshape(3, 2), bits, bits.view(torch.float16), torch.zeros(()), torch.zeros(0)]
    assert len({tensor_digest(t) for t in [tensor, *others]}) == 7
    assert tensor_digest(tensor.t().contiguous().t()) == tensor_digest(tensor)
    assert tensor_digest(torch.nn.Parameter(tensor)) == tensor_digest(tensor)


def test_a_manifest_digest_covers_names_and_contents_but_not_order() -> None:
    assert Manifest("x", tuple(reversed(NEW.tensors))).digest == NEW.digest
    assert OLD.digest != NEW.digest
    swapped = tuple(replace(spec, name=NAMES[(at + 1) % len(NAMES)]) for at, spec in enumerate(NEW.tensors))
    assert Manifest("v2", swapped).digest != NEW.digest


def reading(shift: float = 0.0, cached_shift: float | None = None) -> Reading:
    forced = ((-1.0 + shift, -2.0 + shift), (-3.0, -4.0 + 2 * shift, -5.0))
    cached = shift if cached_shift is None else cached_shift
    return Reading(forced, (-2.0 + cached, -5.0 + cached))


def test_agreement_has_a_gap_and_no_faults() -> None:
    report = diagnose(reading(0.0002), reading(), reading(1.0), 1e-3)
    assert report.gap == pytest.approx(0.0004)
    assert report.faults == ()


def test_an_engine_on_the_previous_version_is_named() -> None:
    (fault,) = diagnose(reading(0.5), reading(), reading(0.5), 1e-3).faults
    assert fault.startswith("the engine still serves the previous version")


def test_other_weights_are_located() -> None:
    report = diagnose(reading(0.5), reading(), reading(9.0), 1e-3)
    assert report.faults == (
        "the weights in effect differ from the learner's: largest difference 1 at text 1, token 2 (allowed 0.001)",
    )
    assert report.gap == pytest.approx(1.0)


def test_a_stale_prefix_cache_is_named() -> None:
    report = diagnose(reading(0.0, cached_shift=0.3), reading(), reading(0.3), 1e-3)
    assert report.faults[0].startswith("stale prefix cache")
    assert report.gap == pytest.approx(0.3)


def test_not_a_number_is_a_fault() -> None:
    report = diagnose(reading(math.nan), reading(), None, 1e-3)
    assert report.gap == math.inf and len(report.faults) == 1
    assert len(diagnose(reading(0.0, cached_shift=math.nan), reading(), None, math.inf).faults) == 1


def test_readings_of_other_texts_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        diagnose(Reading(((-1.0,),), (-1.0,)), reading(), None, 1e-3)


def test_a_learner_reading_expects_the_last_token_from_the_cache() -> None:
    assert Reading.without_cache([[-1.0, -2.0], [-3.0]]) == Reading(((-1.0, -2.0), (-3.0,)), (-2.0, -3.0))


def test_half_precision_is_judged_by_what_was_measured_at_the_start() -> None:
    assert allowed_gap("float32", 0.5, 1e-3) == 1e-3
    assert allowed_gap("bfloat16", 0.02, 1e-3) == pytest.approx(0.06)
    assert allowed_gap("bfloat16", 1e-5, 1e-3) == 1e-3


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=4), st.integers(1, 9), st.integers(2, 40))
def test_fixed_texts_have_the_length_asked_for(pool_T: list[list[int]], count: int, length: int) -> None:
    if not any(pool_T):
        with pytest.raises(Refused):
            fixed_texts(pool_T, count, length)
        return
    texts_T = fixed_texts(pool_T, count, length)
    assert [len(text) for text in texts_T] == [length] * count


def test_fixed_texts_begin_at_different_prompts() -> None:
    assert fixed_texts([[1, 2], [3], []], 2, 4) == [[1, 2, 3, 1], [3, 1, 2, 3]]


def test_models_beyond_the_store_are_refused_with_both_numbers() -> None:
    refuse_oversized(8_000_000_000, 8.0)
    with pytest.raises(Refused, match=r"9\.0 GB exceed push\.max_store_gb=8"):
        refuse_oversized(9_000_000_000, 8.0)

"""Where a judge's model runs, by `judge.backend`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from actors.judges.models import ModelInput
from loop.errors import Refused
from loop.judge_config import Backend, HostedConfig
from loop.judges.speaking import Speaker


class Classifier(Protocol):
    """A sequence classifier with `outputs` logits."""

    outputs: int

    def logits(self, inputs: Sequence[ModelInput]) -> list[list[float]]:
        """Logits `[n, outputs]`, without an activation."""
        ...


def speaker_of(config: HostedConfig) -> Speaker:
    """The judge's own language model, loaded. Raises: Refused."""
    if _on_vllm(config):
        from actors.judges.vllm_host import VllmSpeaker

        return VllmSpeaker(config)
    from actors.judges.transformers_host import TransformersSpeaker

    return TransformersSpeaker(config)


def classifier_of(config: HostedConfig) -> Classifier:
    """The judge's own classifier, loaded. Raises: Refused."""
    if _on_vllm(config):
        from actors.judges.vllm_host import VllmClassifier

        return VllmClassifier(config)
    from actors.judges.transformers_host import TransformersClassifier

    return TransformersClassifier(config)


def _on_vllm(config: HostedConfig) -> bool:
    if config.backend is Backend.server:
        raise Refused(f"judge={config.kind.value} has its model at hand: take judge.backend=vllm or transformers.")
    return config.backend is Backend.vllm

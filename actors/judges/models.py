"""What both hosts know of a judge's model before they load it: its configuration, its version, what must be refused.
Torch and transformers are imported by what needs them: a run without such a judge does without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loop.errors import Refused
from loop.fingerprint import model_fingerprint
from loop.judge_config import HostedConfig, PairModelConfig, RewardModelConfig

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

CLASSIFIER = ("ForSequenceClassification",)
LANGUAGE_MODEL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
"""How the architectures' names end."""


@dataclass(frozen=True, slots=True)
class ModelInput:
    """Token ids of one input. `second` is where its second segment begins, for models that tell segments apart."""

    tokens_T: list[int]
    second: int | None = None


def located(path: str) -> str:
    """A folder's path with the home folder spelled out, or a name on a hub as it stands."""
    folder = Path(path).expanduser()
    return str(folder) if folder.is_dir() else path


def model_version(path: str, revision: str | None) -> str:
    """Names a model: the first digits of its folder's digest, or its name on a hub with its revision."""
    if Path(located(path)).is_dir():
        return model_fingerprint(located(path))[:8]
    return path if revision is None else f"{path}@{revision}"


def model_config(config: HostedConfig, heads: tuple[str, ...], key: str = "judge") -> PretrainedConfig:
    """The model's own configuration. Raises: Refused for a model with another head, with fewer positions than
    `max_context`, or in a folder without safetensors; `key` is the judge's."""
    from transformers import AutoConfig

    folder = Path(located(config.model))
    if folder.is_dir() and not any(folder.glob("*.safetensors")):
        raise Refused(f"{key}.model={config.model} holds no safetensors, and other formats are not read.")
    with _refusing(config, key):
        found = AutoConfig.from_pretrained(located(config.model), revision=config.revision)
    names = found.architectures or ["a model without a named architecture"]
    if not any(name.endswith(heads) for name in names):
        raise Refused(f"{key}.model={config.model} is {' or '.join(names)}, and this judge takes a model {heads[0]}.")
    positions = _positions(found)
    if positions is not None and config.max_context > positions:
        raise Refused(
            f"{key}.max_context={config.max_context} is more than the {positions} positions of {key}.model="
            f"{config.model}."
        )
    return found


def _positions(found: PretrainedConfig) -> int | None:
    """How many positions the model has at most, with what its rotary embedding is stretched by."""
    text = found.get_text_config()
    positions = getattr(text, "max_position_embeddings", None)
    if not positions or positions < 0:
        return None
    stretch = (getattr(text, "rope_parameters", None) or {}).get("factor") or 1.0
    return int(positions * stretch)


def require_output(config: RewardModelConfig, outputs: int, key: str = "judge") -> None:
    """Raises: Refused for a reward model without the output that is to be its score."""
    if not 0 <= config.output < outputs:
        raise Refused(f"{key}.output={config.output}: {key}.model={config.model} has outputs 0 to {outputs - 1}.")


def require_pair(config: PairModelConfig, outputs: int, key: str = "judge") -> None:
    """Raises: Refused for a classifier that cannot compare two responses."""
    if outputs not in (1, 2):
        raise Refused(f"{key}.model={config.model} has {outputs} outputs, and a pair model has one or two.")


def load_model(auto_class: Any, config: HostedConfig, heads: tuple[str, ...]) -> PreTrainedModel:
    """The model on the GPU if there is one, without dropout. Raises: Refused as `model_config`, and where weights are
    missing in the checkpoint: they would be random."""
    import torch

    found = model_config(config, heads)
    with _refusing(config):
        model, loading = auto_class.from_pretrained(
            located(config.model),
            config=found,
            revision=config.revision,
            dtype=getattr(torch, config.dtype.value),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if missing := sorted(loading["missing_keys"]):
        raise Refused(f"judge.model={config.model} lacks the weights {', '.join(missing[:3])}.")
    loaded: PreTrainedModel = model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
    return loaded


@contextmanager
def _refusing(config: HostedConfig, key: str = "judge") -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".:")
        raise Refused(f"{key}.model={config.model} cannot be loaded: {reason}.") from error


def ends_of(path: str, revision: str | None) -> int | Sequence[int] | None:
    """The end tokens of the model's generation configuration."""
    from transformers import GenerationConfig

    try:
        found = GenerationConfig.from_pretrained(located(path), revision=revision)
    except OSError:  # not every model has one
        return None
    ends: int | Sequence[int] | None = found.eos_token_id
    return ends


def end_token(tokenizer: PreTrainedTokenizerBase, ends: int | Sequence[int] | None) -> int:
    """The token with which responses end: of the generation configuration's end tokens the tokenizer's own, if it is
    one of them, else the first. Raises: Refused where there is none."""
    known = [ends] if isinstance(ends, int) else [*(ends or [])]
    own = tokenizer.eos_token_id
    if own is not None and (own in known or not known):
        return int(own)
    if not known:
        raise Refused(f"{tokenizer.name_or_path} has no end token, and responses end with one.")
    return int(known[0])


def pooled_tokens(tokens_T: Sequence[int], pad: int | None) -> list[int]:
    """The input without padding tokens at its end: a decoder's classifier reads its last token that is none, also
    where the end token is one. vLLM reads the last token, whatever it is."""
    end = len(tokens_T)
    while end > 1 and tokens_T[end - 1] == pad:
        end -= 1
    return list(tokens_T[:end])


def by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indices in batches of at most `size`, longest first, so that inputs of a batch are of similar length."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[start : start + size] for start in range(0, len(order), size)]

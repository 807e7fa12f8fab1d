"""DeepSpeed behind a few functions: one process joins the group, one module becomes an engine, one optimiser step is
finished or skipped."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import transformers
from ray._private.tensor_serialization_utils import ZeroCopyTensorsWarning
from safetensors import SafetensorError
from torch import Tensor, nn

from actors.learner_contract import Frozen
from actors.policy_module import PolicyModule, load_policy
from loop.config import LearnerConfig, ModelConfig
from loop.config_types import DType
from loop.errors import InfrastructureFailed

if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
import deepspeed
import deepspeed.ops

T = TypeVar("T")

TORCH_DTYPE = {DType.float32: torch.float32, DType.bfloat16: torch.bfloat16}


def device() -> torch.device:
    """The accelerator of this process: Ray shows a process no more than its own."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def on_device(inputs: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Inputs of a forward pass on this process's device."""
    return [None if part is None else part.to(device()) for part in inputs]


def join_group(rank: int, world: int, address: str, port: int, timeout_s: float) -> None:
    """Join the process group of all ranks; a collective that waits longer than `timeout_s` raises instead of
    hanging."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK="0", MASTER_ADDR=address, MASTER_PORT=str(port))
    _be_quiet()
    # Without this DeepSpeed compiles a shared-memory kernel for about 75 s, which only its inference uses.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    # The groups that DeepSpeed clones from the first one would wait for torch's default of half an hour.
    c10d = torch.distributed.distributed_c10d
    c10d.default_pg_timeout = c10d.default_pg_nccl_timeout = timedelta(seconds=timeout_s)  # type: ignore[attr-defined]
    deepspeed.init_distributed(
        dist_backend="nccl" if torch.cuda.is_available() else "gloo",
        auto_mpi_discovery=False,
        verbose=False,
        timeout=timedelta(seconds=timeout_s),
    )


def _be_quiet() -> None:
    """Leave out what libraries say of themselves on every start."""
    for name in ("DeepSpeed", "torch.distributed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch|deepspeed")
    warnings.filterwarnings("ignore", category=ZeroCopyTensorsWarning)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def load_trainable(model: ModelConfig, config: LearnerConfig) -> PolicyModule:
    """The configured policy on this process's device, ready to be trained."""
    module = load_policy(model.path, model.revision, TORCH_DTYPE[model.dtype], config.logprob_chunk)
    return module.to(device()).train()


def load_frozen(policy: Frozen, dtype: DType, chunk: int) -> PolicyModule:
    """A frozen policy, whole, on the CPU. Raises: InfrastructureFailed where it cannot be read."""
    try:
        return load_policy(policy.path, policy.revision, TORCH_DTYPE[dtype], chunk)
    except (OSError, SafetensorError) as error:
        raise InfrastructureFailed(f"the weights in {policy.path} cannot be read: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def frozen_forward(policy: Frozen, dtype: DType, chunk: int) -> Callable[..., Tensor]:
    """Forward pass of a frozen policy, loaded whole on this process's device; it is freed with the returned
    function."""
    module = load_frozen(policy, dtype, chunk).to(device()).eval()

    def forward(*inputs: Tensor | None) -> Tensor:
        output: Tensor = module(*on_device(inputs))
        return output

    return forward


def deepspeed_settings(config: LearnerConfig, dtype: DType) -> dict[str, Any]:
    """DeepSpeed's configuration. It never divides by a number of micro-batches: the learner normalises and sets the
    boundaries."""
    settings: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "steps_per_print": None,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {"stage": config.zero_stage},
        "bf16": {"enabled": dtype is DType.bfloat16},
        "gradient_clipping": 0.0 if _bare(config, dtype) else config.max_grad_norm,
    }
    if dtype is DType.bfloat16 and config.zero_stage > 1:
        settings["data_types"] = {"grad_accum_dtype": "fp32"}
    return settings


def _bare(config: LearnerConfig, dtype: DType) -> bool:
    """Whether DeepSpeed leaves torch's optimiser unwrapped: then it neither reports a gradient norm nor skips bad
    gradients."""
    return config.zero_stage == 0 and dtype is DType.float32


def built_alike(one: LearnerConfig, other: LearnerConfig) -> bool:
    """Whether an engine that was made for one configuration serves another: what is read in every step may differ."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("zero_stage", "betas", "eps", "weight_decay", "max_grad_norm", "logprob_chunk")
    )


class Engine:
    """A DeepSpeed engine and its AdamW, with what differs between ZeRO stages and number formats hidden."""

    def __init__(self, module: PolicyModule, config: LearnerConfig, dtype: DType) -> None:
        self.stage = config.zero_stage
        self.bare = _bare(config, dtype)
        self.max_grad_norm = config.max_grad_norm
        self.weight_bytes = sum(p.numel() * p.element_size() for p in module.parameters())
        beta1, beta2 = config.betas
        # Some wrappers make a step with zero gradients when they start: at a learning rate of zero it changes nothing.
        optimizer = torch.optim.AdamW(
            module.parameters(), lr=0.0, betas=(beta1, beta2), eps=config.eps, weight_decay=config.weight_decay
        )
        self.deepspeed, *_ = deepspeed.initialize(
            model=module, optimizer=optimizer, config=deepspeed_settings(config, dtype)
        )
        self.reset_optimizer()

    @property
    def module(self) -> PolicyModule:
        """The policy, its parameters partitioned under ZeRO-3."""
        module: PolicyModule = self.deepspeed.module
        return module

    def forward(self, *inputs: Tensor | None, alignment: bool = False, probing: bool = False) -> Tensor:
        """The module's output, see `PolicyModule`; under ZeRO-3 every rank must call this the same number of times."""
        output: Tensor = self.deepspeed(*on_device(inputs), alignment=alignment, probing=probing)
        return output

    def backward(self, loss: Tensor, last: bool) -> None:
        """Add a micro-batch's gradient; on the `last` one of a step gradients are reduced to their mean over ranks."""
        self.deepspeed.set_gradient_accumulation_boundary(last)
        self.deepspeed.backward(loss)

    def step(self, lr: float) -> float | None:
        """Apply the gradient and return its norm before clipping, or skip and return None when it is not finite.

        All ranks decide alike: the norm is that of the reduced gradient. ZeRO 1 to 3 and bfloat16 skip inside
        DeepSpeed, which then also clears its partitioned gradients.
        """
        for group in self.deepspeed.basic_optimizer.param_groups:
            group["lr"] = lr
        if self.bare:
            return self._bare_step()
        self.deepspeed.step()
        return float(self.deepspeed.get_global_grad_norm()) if self.deepspeed.was_step_applied() else None

    def _bare_step(self) -> float | None:
        parameters = [p for p in self.module.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if not math.isfinite(norm):
            self.deepspeed.zero_grad()
            return None
        if self.max_grad_norm > 0:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.max_grad_norm, norm)
        self.deepspeed.step()
        return float(norm)

    def reset_optimizer(self) -> None:
        """Forget the optimiser's moments and step count."""
        self.deepspeed.basic_optimizer.state.clear()

    def gathered(self, parameters: list[nn.Parameter]) -> Any:
        """Context in which these parameters are whole on every rank; under ZeRO-3 every rank must enter it."""
        return deepspeed.zero.GatheredParameters(parameters, enabled=self.stage == 3)


def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum of a tensor over all ranks, on every rank."""
    torch.distributed.all_reduce(values)
    return values


def from_all_ranks(here: T) -> list[T]:
    """What each rank brings, in their order, on every rank."""
    told: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(told, here)
    return told

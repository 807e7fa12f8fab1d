"""A small policy, a round of pairs, and learner ranks in processes of their own, for the tests of the learner."""

from __future__ import annotations

import dataclasses
import math
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import ray
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from actors.calls import wait
from actors.learner import LearnerActor
from actors.learner_contract import LearnerSettings
from actors.learner_group import LearnerGroup
from loop.anchors import Resolved
from loop.config import (
    AlgorithmConfig,
    CheckpointConfig,
    DType,
    LearnerConfig,
    ModelConfig,
    OptimizerState,
    Schedule,
)
from loop.fleets import Lesson
from loop.learning import LearnReport
from loop.records import Example, Response, ShardRef
from loop.shards import read_shards, write_shard
from tests.loop.factories import pair_example

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

T = TypeVar("T")
Weights = dict[str, torch.Tensor]
VOCABULARY = 2048


def save_small_model(path: str) -> str:
    """A Qwen2 whose matrices are large enough for ZeRO-3 to partition them (100,000 elements)."""
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 1600, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True}
    Qwen2ForCausalLM(Qwen2Config(**sizes, **heads, initializer_range=0.1)).save_pretrained(path)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={token: at for at, token in enumerate(["<end>", *alphabet])}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>").save_pretrained(path)
    return path


@dataclasses.dataclass(frozen=True)
class Data:
    """Shards of one small round, and their rows."""

    root: str
    examples: list[Example]
    responses: dict[str, Response]
    example_refs: list[ShardRef]
    response_refs: list[ShardRef]

    def with_examples(self, name: str, examples: list[Example]) -> list[ShardRef]:
        return [write_shard(self.root, name, 1, 0, examples, Example)]


def write_data(root: str) -> Data:
    """Eleven pairs of uneven lengths; some share a response, some tokens are not learnt.

    Response `bad`, rejected, has an anchor log-prob that makes a loss infinite, but not its gradient.
    """
    draw = random.Random(0)
    rows = []
    for at in range(16):
        length = draw.randrange(3, 24)
        tokens = [draw.randrange(VOCABULARY) for _ in range(length)]
        mask = [draw.random() < 0.8 for _ in tokens[1:]] + [True]
        prompt = [draw.randrange(VOCABULARY) for _ in range(draw.randrange(1, 9))]
        logprobs = [-draw.random() * 8 for _ in tokens]
        rows.append(response(f"y{at}", prompt, tokens, logprobs, mask))
    rows.append(response("bad", [5, 6], [7, 8], [-1.0, -math.inf], [True, True]))
    pairs = [*((at, at + 1) for at in range(0, 16, 2)), (0, 3), (2, 0), (5, 9)]
    examples = [
        pair_example(f"e{at}", f"y{chosen}", f"y{rejected}", strength=draw.uniform(0.5, 1), weight=draw.uniform(0.2, 2))
        for at, (chosen, rejected) in enumerate(pairs)
    ]
    refs = [write_shard(root, "responses", 1, at, rows[at * 9 : at * 9 + 9], Response) for at in range(2)]
    example_refs = [write_shard(root, "examples", 1, 0, examples, Example)]
    return Data(root, examples, {row.response_id: row for row in rows}, example_refs, refs)


def response(name: str, prompt: list[int], tokens: list[int], logprobs: list[float], mask: list[bool]) -> Response:
    return Response(name, 1, "train", "r0", "p", 0, prompt, tokens, logprobs, mask, "", "end", 0, "{}", "t")


def settings(path: str, **changes: Any) -> LearnerSettings:
    """Two steps of six and five examples, micro-batches of a few sequences.

    A large `eps` keeps AdamW from magnifying rounding.
    """
    names = {field.name for field in dataclasses.fields(LearnerConfig)}
    learner: dict[str, Any] = {
        "lr": 1e-2,
        "eps": 1e-3,
        "weight_decay": 0.1,
        "schedule": Schedule.constant,
        "warmup": 0.0,
        "batch_examples": 6,
        "micro_batch_tokens": 120,
        "logprob_chunk": 7,
        "collective_timeout_s": 60.0,
        "call_timeout_s": 120.0,
        **{name: value for name, value in changes.items() if name in names},
    }
    algorithm = AlgorithmConfig(
        name="test",
        loss=changes.get("loss", {"name": "spce", "beta": changes.get("beta", 0.1), "nll": 0.2}),
        anchors=changes.get("anchors", ["previous"]),
        optimizer=changes.get("optimizer", OptimizerState.carry),
    )
    model = ModelConfig(name="small", path=path, dtype=changes.get("dtype", DType.float32))
    folder = changes.get("checkpoints") or tempfile.mkdtemp()
    return LearnerSettings(model, LearnerConfig(**learner), algorithm, CheckpointConfig(), folder, "test")


@contextmanager
def running_ray() -> Iterator[None]:
    """Ray on this machine, without a dashboard."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        ray.init(
            num_cpus=4,
            include_dashboard=False,
            object_store_memory=200 * 2**20,
            _temp_dir=folder,
            logging_level="ERROR",
        )
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def running(wanted: LearnerSettings, options: dict[str, Any] | None = None) -> Iterator[LearnerGroup]:
    """A learner group whose ranks are up."""
    group = LearnerGroup(wanted, threads=1, options=options)
    group.wait_ready(240)
    yield group
    group.shutdown()


def inside(group: LearnerGroup, work: Callable[[LearnerActor], T]) -> list[T]:
    """Run something on every rank of a group; the answers of all."""
    return wait([rank.__ray_call__.remote(work) for rank in group._actors], 120, "no answer")


@dataclasses.dataclass(frozen=True)
class Call:
    """Arguments of one `learn` of a fresh learner."""

    example_refs: list[ShardRef]
    response_refs: list[ShardRef]
    anchor_refs: Sequence[ShardRef] = ()


def lesson(call: Call, round: int = 1) -> Lesson:
    """A call as the lesson of a round; the policy that sampled is the anchor."""
    rows = [dataclasses.replace(row, round=round) for row in read_shards(call.example_refs, Example)]
    refs = [write_shard(tempfile.mkdtemp(), "examples", round, 0, rows, Example)]
    return Lesson(round, refs, call.response_refs, list(call.anchor_refs), (Resolved(("r0",), (1.0,)),))


def gathered(learner: LearnerActor) -> Weights:
    from actors.learner_weights import gathered_groups

    return {name: tensor for part in gathered_groups(learner.engine, keep=True) for name, tensor in part.items()}


def largest_difference(a: Weights, b: Weights) -> float:
    assert set(a) == set(b)
    return max(float((a[name].float() - b[name].float()).abs().max()) for name in a)


def timeless(report: LearnReport) -> LearnReport:
    """A report without the seconds of the phase and of its steps."""
    steps = tuple(dataclasses.replace(one, seconds=0.0) for one in report.outcomes)
    return dataclasses.replace(report, seconds=0.0, outcomes=steps)

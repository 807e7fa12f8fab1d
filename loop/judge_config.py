"""The judges' part of the configuration: one dataclass per kind, so that a key of another kind is refused while
composing. `conf/judge/KIND.yaml` begins with its class (`schema/judge` holds them by kind).

Longer lists of keys than code: every key, its default and its meaning stand in one place. A field whose metadata holds
`identity=False` does not enter a run's identity.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from omegaconf import MISSING

from loop.config_types import DType, elsewhere


class JudgeKind(Enum):
    """Which judge answers."""

    verifier = "verifier"  # a rule: the reference answer, a regular expression, mathematics, length, a schema
    reward_model = "reward_model"  # a sequence classifier's logit
    pair_model = "pair_model"  # a pairwise preference model's probability
    llm = "llm"  # a language model that is asked, here or at a server
    self = "self"  # the policy that is asked, at its current or a fixed version
    implicit = "implicit"  # log-ratio of two policies
    ensemble = "ensemble"  # several judges of one scale, combined
    mixture = "mixture"  # constraint judges veto, one judge ranks
    majority = "majority"  # how many of the group's responses come to the same answer


class VerifierRule(Enum):
    """What makes a response right."""

    exact = "exact"  # it is the reference answer, outer white space aside
    normalised = "normalised"  # also after folding case and runs of white space
    regex = "regex"  # a pattern is found in it
    math = "math"  # its final expression equals the reference answer
    length = "length"  # it has as many words or characters as wanted
    json_schema = "json_schema"  # it is JSON that fits a schema


class Backend(Enum):
    """Where a judge's model runs."""

    vllm = "vllm"
    transformers = "transformers"
    server = "server"  # any OpenAI-compatible server


class TooLong(Enum):
    """What becomes of a question that is longer than the judge's input limit."""

    refuse = "refuse"  # its judgement is failed
    cut_start = "cut_start"  # responses lose their beginnings
    cut_end = "cut_end"  # responses lose their ends


class ReadBy(Enum):
    """How a verdict is read from a language model."""

    probabilities = "probabilities"  # of the tokens that may come first in its reply
    text = "text"  # the verdict in what it writes; two that differ are failed
    constrained = "constrained"  # it can write nothing but a verdict


class PairHead(Enum):
    """What a pairwise preference model ends in."""

    classifier = "classifier"  # one logit (first better), or two (first, second)
    tokens = "tokens"  # a language model's probabilities of two label tokens


class Reduce(Enum):
    """How token log-ratios become a response's."""

    sum = "sum"
    mean = "mean"


class Combine(Enum):
    """How the members of an ensemble become one value."""

    mean = "mean"
    minimum = "minimum"
    pessimistic = "pessimistic"  # mean minus `penalty` times the variance


class Disagreement(Enum):
    """What the members' disagreement does."""

    ignore = "ignore"
    strength = "strength"  # a preference is the share of members that have it
    margin = "margin"  # a preference's logit shrinks with the members' standard deviation
    abstain = "abstain"  # undecided above `max_spread`


@dataclass
class CheckConfig:
    """The calibration set that a judge answers before a run trusts it."""

    prompts: int = 32
    # of the pool, from which pairs of known order are made; 0: no check
    file: str | None = None
    # preference pairs (JSON Lines: prompt, chosen, rejected) instead of pairs made from reference answers
    levels: dict[str, float] = field(default_factory=lambda: {"gold": 0.6}, metadata={"identity": False})
    # least accuracy by kind of pair (gold, longer, empty, injected), and `consistent`: least share of pairs whose
    # verdict does not change with the order shown. Below one of them the run stops with status 3


@dataclass
class JudgeConfig:
    """Who compares the responses: what all kinds have."""

    name: str = MISSING
    kind: JudgeKind = MISSING
    replicas: int = elsewhere(1)
    from_round: int = 1
    # of a judge under `later_judges`: the first round that it judges
    show_thinking: bool = False
    # whether the judge sees what stands between a response's thinking markers
    thinking_markers: list[str] = field(default_factory=lambda: ["<think>", "</think>"])
    max_failed: float = 0.2
    # the run stops when a larger share of a round's judgements failed
    check: CheckConfig = field(default_factory=CheckConfig)
    start_timeout_s: float = elsewhere(600.0)
    call_timeout_s: float = elsewhere(3600.0)
    # above that of the engines, which a self-judge waits for


@dataclass
class VerifierConfig(JudgeConfig):
    """See `VerifierRule`."""

    rule: VerifierRule = VerifierRule.exact
    options: dict[str, Any] = field(default_factory=dict)
    # the rule's own, see `loop.judges.verifier`


@dataclass
class HostedConfig(JudgeConfig):
    """A judge with a model of its own."""

    model: str = MISSING
    # folder, or OWNER/NAME on a hub; with `backend: server` the name that the server knows
    revision: str | None = None
    dtype: DType = DType.float32
    backend: Backend = Backend.vllm
    max_context: int = 2048
    # tokens of its input, its reply included
    too_long: TooLong = TooLong.refuse
    batch: int = elsewhere(64)
    # inputs that the model passes through together
    kv_cache_gb: float = elsewhere(1.0)
    gpu_memory: float = elsewhere(0.3)


@dataclass
class RewardModelConfig(HostedConfig):
    """A Hugging Face sequence classifier: the score is the logit `output`, without an activation."""

    output: int = 0


@dataclass
class PairModelConfig(HostedConfig):
    """A pairwise preference model. Both orders are the plan's matter (`algorithm.plan.both_orders`)."""

    head: PairHead = PairHead.tokens
    template: str | None = None
    # tokens: a file of `conf/templates`; classifier: none shows the conversation with each response, as two segments

    def asked(self) -> AskedConfig:
        """A model with label tokens as a language model that is asked for their probabilities."""
        hosted = {one.name: getattr(self, one.name) for one in fields(HostedConfig)}
        return AskedConfig(**hosted, template=self.template or MISSING, read=ReadBy.probabilities)


@dataclass
class ServerConfig:
    """An OpenAI-compatible server."""

    url: str = elsewhere("")
    # up to and including `/v1`
    key_variable: str = elsewhere("OPENAI_API_KEY")
    # environment variable that holds the key; unset: none is sent
    concurrency: int = elsewhere(16)
    timeout_s: float = elsewhere(120.0)
    # of one attempt
    attempts: int = elsewhere(6)
    breaker_failures: int = elsewhere(32)
    # failed requests in a row after which the server is left alone for `breaker_pause_s`; when as many hear nothing at
    # all, the run ends with status 4
    breaker_pause_s: float = elsewhere(30.0)
    cache: str | None = elsewhere(None)
    # folder of answered requests; none: `~/.cache/ratchet/judge`
    price_prompt: float = elsewhere(0.0)
    price_completion: float = elsewhere(0.0)
    # in dollars per million tokens
    vllm: bool = False
    # constrained decoding in vLLM's own way (`structured_outputs`) instead of OpenAI's (`response_format`)


@dataclass
class AskedConfig(HostedConfig):
    """A language model that is asked in words."""

    template: str = MISSING
    # a file of `conf/templates`, or one of its kind
    read: ReadBy = ReadBy.probabilities
    temperature: float = 0.0
    # of what it writes; above 0 a recipe's repeats (`algorithm.plan.repeats`) are different samples
    max_tokens: int = 512
    # of text
    min_mass: float = 0.5
    # probabilities: a reply whose verdict tokens hold less together is failed


@dataclass
class LlmConfig(AskedConfig):
    """A language model on vLLM, on transformers, or at a server."""

    server: ServerConfig = field(default_factory=ServerConfig)


@dataclass
class SelfConfig(AskedConfig):
    """The policy. The current version is asked at the engines, a fixed one is hosted by the judge."""

    model: str = "current"
    # `current`, `initial`, or the folder of an exported checkpoint
    meta_template: str | None = None
    # a file like `template` by which it compares two of its judgements, with the judge's question as the request;
    # needed for `algorithm.judge_pairs`


@dataclass
class ImplicitConfig(HostedConfig):
    """beta x (log p(response) under `model` minus that under `weak`): the reward that DPO implies, or the density ratio
    of a strong to a weak model. On transformers."""

    backend: Backend = Backend.transformers
    model: str = "current"
    # `current` (the policy at the engines), `initial` (the one with which the run began), or a folder or name
    weak: str = "initial"
    weak_revision: str | None = None
    reduce: Reduce = Reduce.sum
    beta: float = 1.0


@dataclass
class EnsembleConfig(JudgeConfig):
    """Several judges of one scale."""

    members: dict[str, JudgeConfig] = field(default_factory=dict)
    # by a name of your own: `+judge@judge.members.NAME=KIND`
    combine: Combine = Combine.mean
    penalty: float = 1.0
    disagreement: Disagreement = Disagreement.ignore
    max_spread: float = 0.25


@dataclass
class MixtureConfig(JudgeConfig):
    """A response that a constraint does not pass loses against every one that passes all; `members.reward` ranks
    those."""

    members: dict[str, JudgeConfig] = field(default_factory=dict)
    # `reward`, and the constraints by names of your own
    passes: float = 0.5
    # a constraint is passed with at least this score


@dataclass
class MajorityConfig(JudgeConfig):
    """Self-consistency: the share of the group's responses with the same final answer."""

    extract: str = "last_line"
    # how the final answer is found; see `loop.judges.majority`


BY_KIND: dict[JudgeKind, type[JudgeConfig]] = {
    JudgeKind.verifier: VerifierConfig,
    JudgeKind.reward_model: RewardModelConfig,
    JudgeKind.pair_model: PairModelConfig,
    JudgeKind.llm: LlmConfig,
    JudgeKind.self: SelfConfig,
    JudgeKind.implicit: ImplicitConfig,
    JudgeKind.ensemble: EnsembleConfig,
    JudgeKind.mixture: MixtureConfig,
    JudgeKind.majority: MajorityConfig,
}

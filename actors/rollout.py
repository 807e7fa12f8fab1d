"""One rollout engine as an actor: it samples shards of responses from the version it holds, and takes part in pushes.

A plain class; `ray.remote(RolloutActor)` makes it an actor. The number of threads of native code (`OMP_NUM_THREADS`) is
set in the actor's runtime environment, before anything is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch

from actors.engine import Engine, Sampled
from actors.engine_settings import EngineSpec
from loop.crash import reached
from loop.errors import InfrastructureFailed, Refused
from loop.judges.speaking import Writing, Written
from loop.push import Manifest, Reading
from loop.push_faults import manifest_faults
from loop.records import Judgement, Prompt, Response, ShardRef, seed_of
from loop.samplers.grouping import (
    Others,
    begun,
    ordered,
    others,
    proposed,
    require_distinct,
    statistics,
)
from loop.samplers.mixing import sums_under
from loop.samplers.wanted import Wanted, response_of, wanted
from loop.sampling import GenerateRequest
from loop.shards import read_shard, read_shards, write_shard


class RolloutActor:
    """A vLLM engine that serves one policy version at a time.

    Args:
        spec: the engine.
        threads: of torch, inside this process.
        version: the policy version that the checkpoint at `spec.path` is. Without it the engine is stale: it serves
            after a push.
    """

    def __init__(self, spec: EngineSpec, threads: int, version: str | None = None) -> None:
        torch.set_num_threads(threads)
        self._engine = Engine(spec)
        self._tokenizer = self._engine.tokenizer_digest
        self._probe_T: list[list[int]] = []
        self._served: str | None = None
        self._why_not = "it has not been given any version yet"
        if version is not None:
            self._engine.stamp(version)
            self._served = version

    def version(self) -> str | None:
        """The version served; none while a push is open, and after one that failed."""
        return self._served

    def generate(self, request: GenerateRequest) -> ShardRef:
        """Sample what the request's strategy wants for each prompt's group, and write it as one shard: with the rest of
        the group, where the request is for whole ones.

        Returns:
            The shard's handle; for `stats` see `loop.samplers.grouping.statistics`. Besides: `too_long`, draws left out
            because their context leaves no room for them (and a prompt's given texts, unless all fit into it); of
            mixtures `mixed`, how many were resampled, and `ess`, the sum of their draws' effective sample sizes.

        Raises:
            InfrastructureFailed: the engine serves another version, or none.
            Refused: a prompt is missing from the prompts' file, lacks a text or fills the whole context; a conversation
                or a text cannot be encoded.
        """
        self._require(request.policy)
        groups = begun(
            _chosen_prompts(request), read_shards(request.beside, Response), read_shards(request.said, Judgement)
        )
        sums = {one.other: sums_under(one.weights, one.other) for one in request.mixtures}
        rest = [others(request, group, sums) for group in groups] if request.whole else [Others()] * len(groups)
        encoder = self._engine.encoder(request.template)
        asked = [
            [
                *(wanted(request, group.prompt, text, f"data:{column}", encoder) for column, text in its.given),
                *(wanted(request, group.prompt, draw, request.policy, encoder) for draw in proposed(request, group)),
            ]
            for group, its in zip(groups, rest, strict=True)
        ]
        ready = [
            one
            for some, its in zip(asked, rest, strict=True)
            for one in (some if all(some[: len(its.given)]) else some[len(its.given) :])
            if one is not None
        ]
        rows = [row for its in rest for row in its.rows] + self._answered(request, ready)
        beside = [] if request.whole else [row for group in groups for row in group.beside]
        require_distinct(request.strategy, [*rows, *beside])
        stats = statistics(request, len(groups), rows)
        if left_out := sum(map(len, asked)) - len(ready):
            stats["too_long"] = float(left_out)
        if request.mixtures:
            stats |= {"mixed": float(len(groups) * len(request.mixtures)), "ess": sum(its.effective for its in rest)}
        return write_shard(
            request.store, request.table, request.round, request.shard, ordered(groups, rows), Response, stats
        )

    def _answered(self, request: GenerateRequest, ready: Sequence[Wanted]) -> list[Response]:
        """The rows of what is wanted, after the engine has sampled what is not given."""
        sampled = [one for one in ready if one.text_T is None]
        contexts_T, seeds = [one.context_T for one in sampled], [seed_of(*one.key(request)) for one in sampled]
        answers = self._engine.generate(contexts_T, seeds, [one.sampling for one in sampled])
        _require_whole(answers, request.policy)
        following = iter(answers)
        return [
            response_of(request, one, next(following) if one.text_T is None else None, self._tokenizer) for one in ready
        ]

    def choice_logprobs(
        self, policy: str, prefixes_T: Sequence[list[int]], choices: list[int]
    ) -> list[list[float] | None]:
        """Log-probs under `policy` of the tokens `choices` after each prefix, not renormalised; None for a prefix that
        fills the engine's context.

        Raises:
            InfrastructureFailed: the engine serves another version, or none.
        """
        self._require(policy)
        return self._engine.choice_logprobs(prefixes_T, choices)

    def text_logprobs(self, policy: str, texts_T: Sequence[list[int]]) -> list[list[float]]:
        """Log-probs under `policy` of each text's tokens, the first one excluded.

        Raises:
            InfrastructureFailed: the engine serves another version, or none.
        """
        self._require(policy)
        return self._engine.text_logprobs(texts_T)

    def write(
        self, policy: str, prefixes_T: Sequence[list[int]], seeds: Sequence[int], writing: Writing
    ) -> list[Written | None]:
        """What `policy` writes as a judge after each prefix; None for a prefix that fills the engine's context.

        Raises:
            InfrastructureFailed: the engine serves another version, or none.
        """
        self._require(policy)
        return self._engine.write(prefixes_T, seeds, writing)

    def begin_push(self, version: str) -> None:
        """Stop serving and open a push. The probe's texts are cached first, so that a cache left stale shows."""
        self.quarantine(f"the push of version {version} to it was not completed")
        self._engine.abandon()
        if self._probe_T:
            self._engine.prime(self._probe_T)
        self._engine.begin()

    def load(self, group: dict[str, torch.Tensor]) -> None:
        """Load one group of tensors under their checkpoint names."""
        reached("push/engine")
        self._engine.load(group)

    def finish_push(self, manifest: Manifest, previous: Manifest | None) -> None:
        """Close the push and serve its version, if all of it arrived.

        Raises:
            InfrastructureFailed: it did not; one sentence per fault, and nothing is served until a complete push.
        """
        received = self._engine.finish(manifest.version)
        faults = [*manifest_faults(received.tensors, manifest, previous), *received.incomplete]
        # the text that `begin_push` cached last is the last that a small cache gives up
        if self._probe_T and (held := self._engine.held(self._probe_T[-1])):
            faults.append(f"the prefix cache was not reset: it still held {held} tokens of one of the probe's texts")
        if faults:
            raise InfrastructureFailed(f"the push of version {manifest.version} failed: {'; '.join(faults)}.")
        self._served = manifest.version

    def read_probe(self, texts_T: Sequence[list[int]]) -> Reading:
        """Log-probs of the probe's texts under the weights in effect, served or not; later pushes prime with them."""
        self._probe_T = list(texts_T)
        return self._engine.read(texts_T)

    def quarantine(self, why: str) -> None:
        """Serve nothing until a complete push; `why` continues the sentence "it serves nothing because"."""
        self._served, self._why_not = None, why

    def _require(self, policy: str) -> None:
        if self._served is None:
            raise InfrastructureFailed(
                f"the engine was asked for version {policy} but serves nothing because {self._why_not}."
            )
        if self._served != policy:
            raise InfrastructureFailed(f"the engine was asked for version {policy} but serves {self._served}.")


@lru_cache(maxsize=4)
def _prompts_of(path: str) -> dict[str, Prompt]:
    return {prompt.prompt_id: prompt for prompt in read_shard(path, Prompt)}


def _chosen_prompts(request: GenerateRequest) -> list[Prompt]:
    known = _prompts_of(request.prompts_path)
    missing = [prompt_id for prompt_id in request.prompt_ids if prompt_id not in known]
    if missing:
        raise Refused(
            f"{len(missing)} of the prompts asked for, {missing[0]} first, are not in {request.prompts_path}."
        )
    return [known[prompt_id] for prompt_id in request.prompt_ids]


def _require_whole(answers: Sequence[Sampled], policy: str) -> None:
    """Answers that vLLM gave up, or that another version sampled, must not become rows."""
    aborted = sum(answer.finish_reason == "abort" for answer in answers)
    if aborted:
        raise InfrastructureFailed(f"vLLM aborted {aborted} of {len(answers)} answers.")
    other = {answer.weight_version for answer in answers} - {policy}
    if other:
        raise InfrastructureFailed(
            f"answers were asked of version {policy} but vLLM reports {', '.join(sorted(other))}."
        )

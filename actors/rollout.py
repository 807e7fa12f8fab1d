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
from loop.records import Prompt, Response, ShardRef, digest_of, seed_of
from loop.sampling import GenerateRequest
from loop.shards import read_shard, write_shard


class RolloutActor:
    """A vLLM engine that serves one policy version at a time.

    Args:
        spec: the engine.
        store_root: the run's store; response shards are written below it.
        threads: of torch, inside this process.
        version: the policy version that the checkpoint at `spec.path` is. Without it the engine is stale: it serves
            after a push.
    """

    def __init__(self, spec: EngineSpec, store_root: str, threads: int, version: str | None = None) -> None:
        torch.set_num_threads(threads)
        self._root = store_root
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
        """Sample `request.k` answers per prompt and write them as one shard.

        Returns:
            The shard's handle; `stats` counts prompts, responses, tokens (end tokens included) and truncated
            responses, and sums log-probs (nats).

        Raises:
            InfrastructureFailed: the engine serves another version, or none.
            Refused: a prompt is missing from the prompts' file or fills the whole context.
        """
        self._require(request.policy)
        prompts = _chosen_prompts(request)
        keys = [
            (request.identity, request.round, request.purpose, request.policy, prompt.prompt_id, k)
            for prompt in prompts
            for k in range(request.k)
        ]
        seeds = [seed_of(*key) for key in keys]
        asked = [prompt for prompt in prompts for _ in range(request.k)]
        answers = self._engine.generate([prompt.tokens_T for prompt in asked], seeds, request.sampling)
        _require_whole(answers, request.policy)
        rows = [
            Response(
                response_id=digest_of(*key),
                round=request.round,
                purpose=request.purpose,
                policy=request.policy,
                prompt_id=prompt.prompt_id,
                k=key[-1],
                prompt_tokens_T=prompt.tokens_T,
                tokens_T=answer.tokens_T,
                logprobs_T=answer.logprobs_T,
                loss_mask_T=[True] * len(answer.tokens_T),
                text=answer.text,
                finish_reason=answer.finish_reason,
                seed=seed,
                sampling=request.sampling.label(),
                tokenizer=self._tokenizer,
            )
            for key, seed, prompt, answer in zip(keys, seeds, asked, answers, strict=True)
        ]
        stats = {
            "prompts": float(len(prompts)),
            "responses": float(len(rows)),
            "tokens": float(sum(len(row.tokens_T) for row in rows)),
            "truncated": float(sum(row.truncated for row in rows)),
            "logprob": sum(sum(row.logprobs_T) for row in rows),
        }
        return write_shard(self._root, request.table, request.round, request.shard, rows, Response, stats)

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

"""A draw of a strategy made ready for an engine, and what became of it as a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from loop.records import Prompt, Response, digest_of, seed_of
from loop.samplers.replies import Encoder
from loop.samplers.strategy import Draw
from loop.sampling import GenerateRequest, Sampling

NOT_SAMPLED = "{}"
"""`Response.sampling` of a text that was given."""


class Answer(Protocol):
    """What an engine gives."""

    @property
    def tokens_T(self) -> list[int]: ...

    @property
    def logprobs_T(self) -> list[float]: ...

    @property
    def text(self) -> str: ...

    @property
    def finish_reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A draw with its tokens: it is sampled behind `context_T` and stored behind `shown_T`. `text_T` are those of a
    text that is given; None where it is to be sampled."""

    prompt: Prompt
    draw: Draw
    policy: str
    context_T: list[int]
    shown_T: list[int]
    sampling: Sampling
    text_T: list[int] | None

    def key(self, request: GenerateRequest) -> tuple[object, ...]:
        """What its id and its seed derive from."""
        return key_of(request, self.draw.purpose, self.policy, self.prompt.prompt_id, self.draw.number)


def key_of(request: GenerateRequest, purpose: str, policy: str, prompt_id: str, number: int) -> tuple[object, ...]:
    """What a response's id and its seed derive from."""
    return (request.identity, request.round, purpose, policy, prompt_id, number)


def wanted(request: GenerateRequest, prompt: Prompt, draw: Draw, policy: str, encoder: Encoder) -> Wanted | None:
    """A draw made ready; None where it has no room in the context. (A prompt that leaves no room by itself is for the
    engine to refuse.) Raises: Refused where a conversation or a text cannot be encoded."""
    turns = prompt.turns() if draw.turns is None else draw.turns
    before_T = prompt.tokens_T if draw.turns is None else encoder.turns(turns)
    context_T = [*before_T, *draw.prefix_T]
    shown_T = prompt.tokens_T if draw.answers_prompt else context_T
    if draw.text is not None:
        text_T = encoder.reply(turns, draw.text)
        fits = len(shown_T) + len(text_T) <= encoder.max_context
        return Wanted(prompt, draw, policy, context_T, shown_T, request.sampling, text_T) if fits else None
    room = encoder.max_context - max(len(context_T), len(shown_T) + len(draw.prefix_T) * draw.answers_prompt)
    if room < 1 and context_T != prompt.tokens_T:
        return None
    sampling = _sampling(request.sampling, draw)
    left = max(request.sampling.max_tokens - len(draw.prefix_T), 1)
    sampling = replace(sampling, max_tokens=min(sampling.max_tokens, left))
    if draw.answers_prompt:
        sampling = replace(sampling, max_tokens=min(sampling.max_tokens, max(room, 1)))
    return Wanted(prompt, draw, policy, context_T, shown_T, sampling, None)


def _sampling(sampling: Sampling, draw: Draw) -> Sampling:
    return replace(
        sampling,
        temperature=sampling.temperature if draw.temperature is None else draw.temperature,
        max_tokens=sampling.max_tokens if draw.max_tokens is None else draw.max_tokens,
        stop=tuple(dict.fromkeys((*sampling.stop, *draw.stop))),
    )


def response_of(request: GenerateRequest, one: Wanted, answer: Answer | None, tokenizer: str) -> Response:
    """The row of a draw that was sampled (`answer`), or of a text that was given. Log-probs are stored only where the
    row's tokens were sampled behind what the row says that they stand behind."""
    draw, key = one.draw, one.key(request)
    if answer is None:
        assert one.text_T is not None and draw.text is not None
        tokens_T, logprobs_T, text, finish_reason = one.text_T, list[float](), draw.text, "end"
    else:
        begun_T = draw.prefix_T if draw.answers_prompt else ()
        tokens_T, logprobs_T = [*begun_T, *answer.tokens_T], answer.logprobs_T if one.context_T == one.shown_T else []
        text, finish_reason = draw.prefix + answer.text, answer.finish_reason
    return Response(
        response_id=digest_of(*key),
        round=request.round,
        purpose=draw.purpose,
        policy=one.policy,
        prompt_id=one.prompt.prompt_id,
        k=draw.number,
        prompt_tokens_T=one.shown_T,
        tokens_T=tokens_T,
        logprobs_T=logprobs_T,
        loss_mask_T=[True] * len(tokens_T),
        text=text,
        finish_reason=finish_reason,
        seed=seed_of(*key),
        sampling=NOT_SAMPLED if answer is None else one.sampling.label(),
        tokenizer=tokenizer,
        parent=draw.parent,
    )

"""A language model as judge: what it is asked, and what its answer comes to, wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from loop.errors import Refused
from loop.judge_config import AskedConfig, ReadBy
from loop.judges.judge import Asked, Reply
from loop.judges.ordinary import PieceEncoder
from loop.judges.speaking import Speaker, Writing
from loop.judges.splicing import TOO_LONG, Spliced, frame_of, spliced
from loop.judges.template import JudgeTemplate
from loop.judges.verdict import verdict_of_logprobs, verdict_of_text
from loop.records import seed_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_ROOM = Reply("the question is longer than the model's context", "failed", None)
NO_REFERENCE = Reply("the template shows a reference answer, and the prompt has none", "failed", None)

_Input = tuple[tuple[int, ...], int]
"""Token ids and seed: inputs that are alike get one answer."""


class TextJudge:
    """Asks a language model in words. `name` may hold `{policy}`, the version that the engines serve.

    Raises: Refused where the model's chat template or vocabulary does not suit the judge template, or where
    `judge.max_context` leaves the question no room.
    """

    def __init__(
        self,
        config: AskedConfig,
        template: JudgeTemplate,
        tokenizer: PreTrainedTokenizerBase,
        speaker: Speaker,
        name: str,
    ) -> None:
        self.config = config
        self.template = template
        self.tokenizer = tokenizer
        self.speaker = speaker
        self.name = name
        self.asked_with, self.tokens, self.writing, self.limit = manner_of(config, template, tokenizer)
        self.counts = {"questions": 0.0, "cut": 0.0, "refused": 0.0}

    def version(self, policy: str) -> str:
        """The judge's name and the template's digest."""
        return f"{self.name.replace('{policy}', policy)}-{self.template.digest[:8]}"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """As `Judge.answer`. Inputs that are alike are put to the model once."""
        questions = [self._question(one) for one in asked]
        inputs = {
            place: self._input(one, question)
            for place, (one, question) in enumerate(zip(asked, questions, strict=True))
            if isinstance(question, Spliced)
        }
        different = list(dict.fromkeys(inputs.values()))
        told = dict(zip(different, self._ask(different, policy), strict=True)) if different else {}
        self.counts["questions"] += len(asked)
        self.counts["refused"] += sum(isinstance(question, Reply) for question in questions)
        self.counts["cut"] += sum(isinstance(question, Spliced) and question.cut > 0 for question in questions)
        return [
            question if isinstance(question, Reply) else _about(question, told[inputs[place]])
            for place, question in enumerate(questions)
        ]

    def usage(self) -> dict[str, float]:
        """The speaker's, `questions`, and of these how many lost tokens of their responses (`cut`) or were never put to
        the model (`refused`)."""
        return {**self.speaker.usage(), **self.counts}

    def _question(self, asked: Asked) -> Spliced | Reply:
        """The model's input, or why there is none."""
        if self.template.shows_reference and asked.answer is None:
            return NO_REFERENCE
        return spliced(self.tokenizer, self.asked_with, asked, self.limit, self.config.too_long) or TOO_LONG

    def _input(self, asked: Asked, question: Spliced) -> _Input:
        sampled = not self.tokens and self.config.temperature > 0
        seed = writing_seed(question.tokens_T, asked.question.sample) if sampled else 0
        return tuple(question.tokens_T), seed

    def _ask(self, inputs: Sequence[_Input], policy: str) -> list[Reply]:
        inputs_T = [list(tokens) for tokens, _ in inputs]
        if self.tokens:
            logprobs = self.speaker.next_logprobs(inputs_T, list(self.tokens.values()), policy)
            told = [None if one is None else dict(zip(self.tokens, one, strict=True)) for one in logprobs]
            return [NO_ROOM if one is None else verdict_of_logprobs(self.config, self.template, one) for one in told]
        texts = self.speaker.write(inputs_T, [seed for _, seed in inputs], self.writing, policy)
        return [NO_ROOM if one is None else verdict_of_text(self.config, self.template, one) for one in texts]


def writing_seed(asked_T: Sequence[int], sample: int) -> int:
    """The seed with which a judge writes its reply to an input."""
    return seed_of("judge", list(asked_T), sample)


def _about(question: Spliced, reply: Reply) -> Reply:
    """A reply with what it is a reply to; the input's tokens where those of the reply are known, too."""
    return replace(reply, cut=question.cut, asked_T=tuple(question.tokens_T) if reply.tokens_T else ())


class Manner(NamedTuple):
    """How a judge is asked: the template as it is shown, verdict tokens where probabilities are read, how it writes
    otherwise, and the most tokens that a question may have."""

    template: JudgeTemplate
    tokens: dict[str, int]
    writing: Writing
    limit: int


def manner_of(config: AskedConfig, template: JudgeTemplate, tokenizer: PreTrainedTokenizerBase) -> Manner:
    """What follows from the configuration without asking anything. Raises: Refused as `TextJudge`."""
    shown = replace(template, begin="") if config.read is ReadBy.text else template
    tokens = verdict_tokens(tokenizer, template) if config.read is ReadBy.probabilities else {}
    writing = _writing(config, template)
    limit = config.max_context - (1 if tokens else writing.max_tokens)
    if (taken := frame_of(tokenizer, shown).tokens) >= limit:
        raise Refused(
            f"judge.max_context={config.max_context}: judge template {template.name} takes {taken} tokens and the "
            f"reply up to {config.max_context - limit}, which leaves no room for a question."
        )
    return Manner(shown, tokens, writing, limit)


def verdict_tokens(tokenizer: PreTrainedTokenizerBase, template: JudgeTemplate) -> dict[str, int]:
    """Ids by what they stand for: each verdict, bare and after a space, where that is one token.

    Raises: Refused where a verdict is one token in neither way, or the token of another.
    """
    encoder = PieceEncoder(tokenizer)
    found: dict[str, int] = {}
    owners: dict[int, str] = {}
    for verdict in template.verdicts:
        ways = {text: encoder.untrusted(text, first=False) for text in (verdict, f" {verdict}")}
        single = {text: ids[0] for text, ids in ways.items() if len(ids) == 1 and ids[0] != tokenizer.unk_token_id}
        if not single:
            raise Refused(
                f"judge template {template.name}: {verdict!r} is not one token of this model, and a verdict must be "
                "one (judge.read=text and judge.read=constrained take others)."
            )
        for text, token in single.items():
            if owners.setdefault(token, verdict) != verdict:
                raise Refused(
                    f"judge template {template.name}: {owners[token]!r} and {verdict!r} are the same token for this "
                    "model."
                )
            if token not in found.values():
                found[text] = token
    return found


def _writing(config: AskedConfig, template: JudgeTemplate) -> Writing:
    if config.read is ReadBy.text:
        return Writing(config.temperature, config.max_tokens)
    # A choice takes at most a token for each of its bytes, and one that ends it.
    longest = max(len(verdict.encode()) for verdict in template.verdicts) + 1
    return Writing(config.temperature, longest, template.verdicts)

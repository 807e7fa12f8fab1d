"""A judge in its third role: it compares its own judgements (Meta-Rewarding)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loop.judges.judge import Asked, Judge
from loop.judges.template import JudgeTemplate, messages
from loop.judges.thinking import visible
from loop.records import Question


@dataclass(frozen=True, slots=True)
class MetaJudge:
    """`judge` compares two texts by the meta-judge's template; `template` is the one by which the judgements came
    about, in which answers were shown without what stands between `markers`. `sampling` tells how judgements are
    written, as `Response.sampling`."""

    judge: Judge
    template: JudgeTemplate
    markers: tuple[str, ...]
    sampling: str

    def about(self, question: Question, judged: Asked, judgements: tuple[str, ...]) -> Asked:
        """The question which of two judgements is better. What the judge was asked, in its words, stands where a judge
        sees the conversation: rubric, prompt and answer."""
        seen = replace(judged, texts=tuple(visible(text, self.markers) or "" for text in judged.texts))
        return Asked(question, messages(self.template, seen), judgements, judged.answer)

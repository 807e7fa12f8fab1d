"""The verifier: right or wrong, by a rule."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from loop.judge_config import VerifierConfig, VerifierRule
from loop.judges.judge import Asked, Reply
from loop.judges.verifier_checks import QUICK, Finding, Options
from loop.judges.verifier_process import SECONDS, Checking
from loop.judges.verifier_rules import needs_answer, options_of, verifier_problem
from loop.records import digest_of

__all__ = ["Verifier", "needs_answer", "verifier_of", "verifier_problem"]


def verifier_of(config: VerifierConfig) -> Verifier:
    """The verifier of a configuration. Raises `Refused` for options that there are not or that cannot be."""
    return Verifier(config.rule, options_of(config), needs_answer(config))


class Verifier:
    """Scores 1 when a response is right by the rule, else 0. `options` are complete; `needs_answer`: a prompt without
    a reference answer cannot be verified. `seconds`: processor time that a response may need where a rule can run for
    ever. Pickled, it leaves its process behind."""

    def __init__(self, rule: VerifierRule, options: Options, needs_answer: bool, seconds: float = SECONDS) -> None:
        self.rule, self.options, self.needs_answer = rule, options, needs_answer
        self._checking = None if rule.value in QUICK else Checking(rule.value, options, seconds)
        self._counted: Counter[str] = Counter()
        self._seconds = 0.0

    def version(self, policy: str) -> str:
        """The same for every policy: the rule, and a digest of its options where it has some."""
        digest = f"-{digest_of(self.rule.value, dict(self.options))[:8]}" if self.options else ""
        return f"verifier-{self.rule.value}{digest}"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """What cannot be checked has failed and is not wrong: no reference answer, no time, an unreadable text."""
        start = time.monotonic()
        replies = [_reply(self._found(a)) for a in asked]
        self._seconds += time.monotonic() - start
        self._counted.update(questions=len(replies), failures=sum(r.status == "failed" for r in replies))
        return replies

    def usage(self) -> dict[str, float]:
        """Questions, failures and seconds, and how often the process of a slow rule was started."""
        started = {"starts": float(self._checking.started)} if self._checking else {}
        return {**{name: float(n) for name, n in self._counted.items()}, "seconds": self._seconds, **started}

    def close(self) -> None:
        """End the process of a slow rule; the next question starts another."""
        if self._checking is not None:
            self._checking.close()

    def _found(self, asked: Asked) -> Finding:
        if self.needs_answer and asked.answer is None:
            return Finding(None, "no reference answer")
        text, answer = asked.texts[0], asked.answer or ""
        if self._checking is not None:
            return self._checking.check(text, answer)
        return QUICK[self.rule.value](text, answer, self.options)


def _reply(finding: Finding) -> Reply:
    if finding.right is None:
        return Reply(finding.said, "failed", None)
    return Reply(finding.said, "decided", float(finding.right))

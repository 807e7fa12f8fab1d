"""The verifier's rules: which options each has, what they may be, and whether it needs a reference answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loop.errors import Refused, nearest
from loop.judge_config import VerifierConfig, VerifierRule
from loop.judges.verifier_checks import ANSWER, Options

MOST = 10**9
"""Largest length that can be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A rule's options with their defaults, the `choices` of those that have some, and which must be given (one of
    `given`). A default's type is the option's: text, whole number from 0 to `MOST`, or yes and no."""

    options: Options = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given: tuple[str, ...] = ()


DOMAINS: dict[VerifierRule, Domain] = {
    VerifierRule.exact: Domain(),
    VerifierRule.normalised: Domain(),
    VerifierRule.regex: Domain(options={"pattern": "", "whole": False}, given=("pattern",)),
    VerifierRule.math: Domain(),
    VerifierRule.length: Domain(
        options={"min": 0, "max": MOST, "unit": "words"},
        choices={"unit": ("words", "characters")},
        given=("min", "max"),
    ),
    VerifierRule.json_schema: Domain(options={"schema": ""}, given=("schema",)),
}


def needs_answer(config: VerifierConfig) -> bool:
    """Whether prompts must come with a reference answer."""
    if config.rule is VerifierRule.regex:
        return ANSWER in str(config.options.get("pattern", ""))
    return config.rule in (VerifierRule.exact, VerifierRule.normalised, VerifierRule.math)


def verifier_problem(config: VerifierConfig) -> str | None:
    """One sentence about options that there are not or that cannot be, None when all is well. Reads a schema's file."""
    try:
        options_of(config)
    except Refused as refused:
        return str(refused)
    return None


def options_of(config: VerifierConfig) -> Options:
    """The rule's options, defaults filled in, a schema's text in the place of its file. Raises `Refused`."""
    said, domain, given = f"verifier rule {config.rule.value}", DOMAINS[config.rule], dict(config.options)
    for option in sorted(given):
        if option not in domain.options:
            known = ", ".join(sorted(domain.options)) or "none"
            raise Refused(f"{said} has no option {option!r}{nearest(option, domain.options)}; it has {known}")
        _check(said, domain, option, given[option])
    if domain.given and not any(given.get(option) not in (None, "") for option in domain.given):
        raise Refused(f"{said} needs the option {' or '.join(domain.given)}")
    options = {**domain.options, **given}
    if config.rule is VerifierRule.regex:
        _check_pattern(said, str(options["pattern"]))
    if config.rule is VerifierRule.length and options["min"] > options["max"]:
        raise Refused(f"{said}: min={options['min']} is above max={options['max']}")
    if config.rule is VerifierRule.json_schema:
        options["schema"] = _schema_text(said, str(options["schema"]))
    return options


def _check(said: str, domain: Domain, option: str, value: Any) -> None:
    default, said = domain.options[option], f"{said}: {option}={value}"
    if option in domain.choices:
        choices = domain.choices[option]
        if value not in choices:
            raise Refused(f"{said} must be one of {', '.join(choices)}{nearest(str(value), choices)}")
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise Refused(f"{said} must be true or false")
    elif isinstance(default, str):
        if not isinstance(value, str):
            raise Refused(f"{said} must be text")
    elif isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise Refused(f"{said} must be a whole number from 0 to {MOST}")


def _check_pattern(said: str, pattern: str) -> None:
    try:
        re.compile(pattern.replace(ANSWER, "x"))
    except (re.error, RecursionError, OverflowError) as error:
        raise Refused(f"{said}: pattern={pattern} is no regular expression: {error}") from None


def _schema_text(said: str, file: str) -> str:
    from loop.judges.verifier_schema import schema_problem  # not at every start: its library takes a tenth of a second

    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"{said}: schema={file} cannot be read: {error.strerror}") from None
    except ValueError:
        raise Refused(f"{said}: schema={file} is not UTF-8 text") from None
    if problem := schema_problem(text):
        raise Refused(f"{said}: schema={file} {problem}")
    return text

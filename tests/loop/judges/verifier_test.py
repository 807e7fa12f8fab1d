from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.errors import Refused
from loop.judges.verifier import Verifier, needs_answer, verifier_of, verifier_problem
from tests.loop.judges.verifying import asked, configured, is_a_verdict, one, verifier

ANY = st.text(alphabet=st.characters(categories=None))


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        ("Paris", "exact", 1.0),
        (" Paris\n", "exact", 1.0),
        ("paris", "exact", 0.0),
        ("Par is", "exact", 0.0),
        ("PARIS", "normalised", 1.0),
        ("Pa ris", "normalised", 0.0),
    ],
)
def test_a_response_is_compared_with_the_answer(text: str, rule: str, value: float) -> None:
    reply = one(verifier(rule), text)
    assert (reply.status, reply.value) == ("decided", value)


def test_runs_of_white_space_count_as_one_when_normalised() -> None:
    assert one(verifier("normalised"), "New\n  york", " new York ").value == 1.0
    assert one(verifier("exact"), "New  York", "New York").value == 0.0


@pytest.mark.parametrize("rule", ["exact", "normalised", "math"])
def test_without_a_reference_answer_verifying_fails_instead_of_scoring(rule: str) -> None:
    judge = verifier(rule)
    reply = one(judge, "Paris", answer=None)
    assert (reply.status, reply.value) == ("failed", None)
    assert judge.usage().get("starts", 0.0) == 0.0


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("one two three", {"max": 3}, 1.0),
        ("one two three four", {"max": 3}, 0.0),
        ("one", {"min": 2}, 0.0),
        ("one two", {"min": 2, "max": 2}, 1.0),
        (" abc ", {"max": 3, "unit": "characters"}, 1.0),
        ("abcd", {"max": 3, "unit": "characters"}, 0.0),
        ("", {"min": 1}, 0.0),
    ],
)
def test_length_is_counted_in_words_or_characters(text: str, options: dict[str, Any], value: float) -> None:
    assert one(verifier("length", **options), text, answer=None).value == value


@pytest.mark.parametrize(
    ("rule", "options", "sentence"),
    [
        ("exact", {"pattern": "x"}, "verifier rule exact has no option 'pattern'; it has none"),
        ("regex", {"patern": "x"}, "has no option 'patern'; did you mean pattern; it has pattern, whole"),
        ("regex", {}, "verifier rule regex needs the option pattern"),
        ("regex", {"pattern": ""}, "needs the option pattern"),
        ("regex", {"pattern": 3}, "pattern=3 must be text"),
        ("regex", {"pattern": "(", "whole": True}, r"pattern=\( is no regular expression"),
        ("regex", {"pattern": "x", "whole": "yes"}, "whole=yes must be true or false"),
        ("length", {}, "needs the option min or max"),
        ("length", {"unit": "words"}, "needs the option min or max"),
        ("length", {"min": -1}, "min=-1 must be a whole number from 0 to"),
        ("length", {"max": 2.5}, "max=2.5 must be a whole number"),
        ("length", {"max": True}, "max=True must be a whole number"),
        ("length", {"min": 5, "max": 4}, "min=5 is above max=4"),
        ("length", {"max": 4, "unit": "word"}, "must be one of words, characters; did you mean words"),
        ("json_schema", {}, "needs the option schema"),
        ("json_schema", {"schema": "/nowhere/schema.json"}, "cannot be read: No such file"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_sentence(rule: str, options: dict[str, Any], sentence: str) -> None:
    config = configured(rule, **options)
    with pytest.raises(Refused, match=sentence):
        verifier_of(config)
    assert "\n" not in (verifier_problem(config) or "\n")


@pytest.mark.parametrize(
    ("rule", "options", "needed"),
    [
        ("exact", {}, True),
        ("normalised", {}, True),
        ("math", {}, True),
        ("regex", {"pattern": "#### {answer}$"}, True),
        ("regex", {"pattern": "[0-9]{3}"}, False),
        ("length", {"max": 3}, False),
        ("json_schema", {"schema": "s.json"}, False),
    ],
)
def test_each_rule_tells_whether_it_needs_a_reference_answer(rule: str, options: dict[str, Any], needed: bool) -> None:
    assert needs_answer(configured(rule, **options)) is needed


def test_the_version_names_the_rule_and_changes_with_its_options(tmp_path: Path) -> None:
    schema, copy = tmp_path / "schema.json", tmp_path / "copy.json"
    for file in (schema, copy):
        file.write_text(json.dumps({"type": "object"}))
    by_file = verifier("json_schema", schema=str(schema)).version("r0-s0")
    assert by_file == verifier("json_schema", schema=str(copy)).version("r3-s9")
    schema.write_text(json.dumps({"type": "array"}))
    assert by_file != verifier("json_schema", schema=str(schema)).version("r0-s0")
    names = [verifier("exact"), verifier("math"), verifier("length", max=3), verifier("length", max=4)]
    versions = [v.version("r0-s0") for v in names]
    assert versions[:2] == ["verifier-exact", "verifier-math"]
    assert versions[2].startswith("verifier-length-") and versions[2] != versions[3]
    assert verifier("length", max=3, unit="words").version("") == versions[2]  # a default, said or not


def test_a_verifier_counts_what_it_answered() -> None:
    judge = verifier("exact")
    judge.answer([asked("Paris"), asked("Rome"), asked("Paris", None)], "r0-s0")
    counted = judge.usage()
    assert (counted["questions"], counted["failures"]) == (3.0, 1.0)


QUICK = [verifier("exact"), verifier("normalised"), verifier("length", max=3)]


@pytest.mark.parametrize("judge", QUICK, ids=lambda judge: judge.rule.value)
@given(text=ANY, answer=ANY)
def test_any_text_is_right_or_wrong(judge: Verifier, text: str, answer: str) -> None:
    assert one(judge, text, answer).status == "decided"
    assert is_a_verdict(one(judge, text, answer))

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing.exceptions import Unresolvable

from loop.judges.verifier import Verifier, verifier_problem
from loop.judges.verifier_schema import json_schema
from tests.loop.judges.verifying import configured, is_a_verdict, one, verifier

Built = Callable[[Any], Verifier]

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"$ref": "#/$defs/age"}, "$ref": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"age": {"type": "integer", "minimum": 0}},
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    judges: dict[str, Verifier] = {}

    def build(schema: Any) -> Verifier:
        text = json.dumps(schema)
        if text not in judges:
            file = tmp_path_factory.mktemp("schema") / "schema.json"
            file.write_text(text)
            judges[text] = verifier("json_schema", seconds=1.0, schema=str(file))
        return judges[text]

    yield build
    for judge in judges.values():
        judge.close()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"name": "Ada", "age": 36}', 1.0),
        (' {"name": "Ada"}\n', 1.0),
        ('```json\n{"name": "Ada"}\n```', 1.0),
        ('```\n{"name": "Ada"}\n```', 1.0),
        ('{"name": "Ada", "$ref": "x"}', 1.0),
        ('{"name": "Ada", "age": -1}', 0.0),
        ('{"age": 36}', 0.0),
        ('{"name": "Ada", "height": 1}', 0.0),
        ("[]", 0.0),
        ('Here it is: {"name": "Ada"}', 0.0),
        ('```json\n{"name": "Ada"}\n``` as wanted', 0.0),
        ('{"name": "Ada"', 0.0),
        ('{"name": "Ada", "age": NaN}', 0.0),
        ("", 0.0),
    ],
)
def test_a_response_is_right_when_all_of_it_is_json_that_fits(built: Built, text: str, value: float) -> None:
    reply = one(built(PERSON), text, answer=None)
    assert (reply.status, reply.value) == ("decided", value)


def test_json_that_cannot_be_checked_is_failed_and_not_wrong(built: Built) -> None:
    anything = built(True)
    assert one(anything, "NaN", None).value == 0.0
    for text in ("[" * 100_000 + "]" * 100_000, "1" * 5000):
        assert one(anything, text, None).status == "failed"
    assert anything.usage()["starts"] == 1.0  # an error costs no process
    assert one(built({"$ref": "#"}), "1", None).status == "failed"
    assert one(built({"pattern": "^(a+)+$"}), json.dumps("a" * 60 + "!"), None).status == "failed"
    assert one(built({"pattern": "^(a+)+$"}), json.dumps("aaa"), None).value == 1.0


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("3", "must be an object"),
        ('{"type": "strin"}', "is not a JSON schema: 'strin'"),
        ('{"pattern": "("}', "is not a JSON schema"),
        ('{"$ref": "#/$defs/none"}', "refers to '#/$defs/none', which it does not hold"),
        ('{"properties": {"a": {"items": {"$ref": "https://example.com/s.json"}}}}', "refers to 'https://example.com"),
    ],
)
def test_a_schema_that_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, schema: str, sentence: str) -> None:
    file = tmp_path / "schema.json"
    file.write_text(schema)
    problem = verifier_problem(configured("json_schema", schema=str(file))) or ""
    assert sentence in problem and "\n" not in problem


@pytest.mark.parametrize(
    "schema",
    [
        PERSON,
        False,
        {"const": {"$ref": "nowhere"}},
        {"$id": "https://example.com/a", "$ref": "b", "$defs": {"b": {"$id": "b", "type": "string"}}},
        {"$dynamicRef": "#node", "$defs": {"n": {"$dynamicAnchor": "node", "type": "string"}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"$ref": "#"}}},
        {"$schema": "https://example.com/mine", "type": "string"},
    ],
    ids=str,
)
def test_a_schema_that_holds_what_it_refers_to_is_accepted(tmp_path: Path, schema: Any) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    assert verifier_problem(configured("json_schema", schema=str(file))) is None


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", fetched.append)
    with pytest.raises(Unresolvable):
        json_schema("1", "", {"schema": '{"$ref": "https://example.com/s.json"}'})
    assert not fetched


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in str(verifier_problem(configured("json_schema", schema=str(file))))


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner), max_leaves=8)


@settings(deadline=None)
@given(text=st.text(alphabet=st.characters(categories=None)) | JSON.map(json.dumps))
def test_any_text_is_decided_or_failed(built: Built, text: str) -> None:
    assert is_a_verdict(one(built(PERSON), text, None))

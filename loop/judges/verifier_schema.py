"""The verifier's rule `json_schema`: the response is JSON that fits a schema. A pattern in it can run for ever."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from loop.judges.verifier_checks import Finding, Options

FENCED = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n(.*?)\r?\n?[ \t]*```", re.DOTALL)


def json_schema(text: str, answer: str, options: Options) -> Finding:
    """All of the response, or of the fenced block that it consists of, is JSON as RFC 8259 has it. References that the
    schema does not hold itself are errors, never fetched."""
    text = text.strip()
    fenced = FENCED.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text, parse_constant=_refuse)
    except json.JSONDecodeError:
        return Finding(False, "wrong: not JSON")
    for error in _validator(str(options["schema"])).iter_errors(value):
        return Finding(False, f"wrong: does not fit {error.validator}")
    return Finding(True, "right")


def schema_problem(text: str) -> str | None:
    """What is wrong with a schema, as the rest of a sentence that begins with its file's name."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        return "is not JSON"
    if not isinstance(schema, dict | bool):
        return "is not a JSON schema: it must be an object"
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        return f"is not a JSON schema: {error.message[:200]} (at {error.json_path})"
    resource = _resource(schema)
    reference = _unresolved(resource, Registry().with_resource("", resource).crawl().resolver())
    return reference and f"refers to {reference!r}, which it does not hold; nothing is fetched"


def _resource(schema: Any) -> Resource[Any]:
    dialect = schema.get("$schema", "") if isinstance(schema, dict) else ""
    return specification_with(dialect, default=DRAFT202012).create_resource(schema)


def _unresolved(resource: Resource[Any], resolver: Any) -> str | None:
    """The first reference in a schema that leads nowhere."""
    resolver = resolver.in_subresource(resource)
    contents = resource.contents
    for keyword in ("$ref", "$dynamicRef"):
        if isinstance(contents, dict) and isinstance(reference := contents.get(keyword), str):
            try:
                resolver.lookup(reference)
            except Unresolvable:
                return reference
    found = (_unresolved(inner, resolver) for inner in resource.subresources())
    return next((reference for reference in found if reference), None)


@lru_cache(maxsize=1)
def _validator(text: str) -> Any:
    schema = json.loads(text)
    return validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())


def _refuse(constant: str) -> None:
    raise json.JSONDecodeError(f"{constant} is not JSON", constant, 0)

"""What stub engines answer: rows whose texts tell who was sampled, and after what."""

from __future__ import annotations

from dataclasses import replace

from loop.records import Judgement, Purpose, Response
from loop.sampling import GenerateRequest
from loop.shards import read_shards
from tests.loop.factories import response


def group_of(request: GenerateRequest, prompt_id: str) -> list[Response]:
    """A prompt's rows of a request. Their texts tell who was sampled, after how much was said of the group."""
    there = [row for row in read_shards(request.beside, Response) if row.prompt_id == prompt_id]
    of = {row.response_id for row in there}
    said = [one for one in read_shards(request.said, Judgement) if one.response_ids[0] in of]
    first = int(request.options.get("first", 0))

    def row(purpose: Purpose, k: int, policy: str, text: str) -> Response:
        id = f"{request.round}-{prompt_id}-{purpose}-{k}" if purpose not in ("train", "evaluate") else ""
        id = id or f"{request.round}-{prompt_id}-{request.step}{k}"
        made = response(k, text, prompt_id=prompt_id, id=id)
        return replace(made, round=request.round, purpose=purpose, policy=policy)

    mine = [
        row(request.purpose, first + k, request.policy, f"{request.policy} {request.step} {len(there)} {len(said)}")
        for k in range(request.k)
    ]
    if not request.whole:
        return mine
    picked = [
        replace(there[mixture.first], purpose=mixture.purpose, text=f"one of {mixture.draws}", k=100 + k)
        for mixture in request.mixtures
        for k in range(mixture.k)
    ]
    given = [row(purpose, 200, f"data:{column}", column) for column, purpose in request.given]
    return [*(one for one in there if one.purpose != "draw"), *picked, *given, *mine]

"""Refinement (SPaR): an answer that fails is refined by a search until one passes, so that the two differ little."""

from __future__ import annotations

from loop.records import Prompt, Response, seed_of
from loop.samplers.conversation import asked_again
from loop.samplers.strategy import Draw, Options, Strategy, Values
from loop.verdict import Group

REQUEST = (
    "This answer does not do all that was asked. Write a better one: leave what is right as it is, and change only "
    "what has to be changed. Reply with the new answer alone."
)
"""What asks for a refinement; the wording is ours."""


def refinement(prompt: Prompt, group: Group, values: Values, options: Options, step: int, k: int) -> list[Draw]:
    """K samples first; then `branch` refinements of each text that the search has come to, breadth first.

    It begins at one failing sample, drawn by chance, keeps the `keep` best refinements of a step, and is over when one
    of them passes, or when none was scored. An answer passes with a score above `pass_score` and fails below it: the
    mean of a judge's votes at one half is a tie.
    """
    if step == 0:
        return [Draw(purpose="train", number=number) for number in range(k)]
    nodes = [one for one in group.responses_K if one.purpose == "node"]
    texts, first = _texts(group, nodes, values, options, step), max((one.k + 1 for one in nodes), default=0)
    return [
        Draw(
            purpose="node",
            number=number,
            turns=asked_again(prompt, text.text, REQUEST),
            answers_prompt=True,
            parent=text.response_id,
        )
        for number, text in enumerate(texts * int(options["branch"]), start=first)
    ]


def _texts(group: Group, nodes: list[Response], values: Values, options: Options, step: int) -> list[Response]:
    """The texts to be refined in a step."""
    scores = {one: value for one, value in values.items() if value is not None}
    least, keep = options["pass_score"], int(options["keep"])
    samples = (one for one in group.responses_K if one.purpose == "train")
    failing = [one for one in samples if scores.get(one.response_id, least) < least]
    texts = [min(failing, key=lambda one: seed_of("refined", one.response_id))] if failing else []
    for _ in range(1, step):
        parents = {one.response_id for one in texts}
        scored = [one for one in nodes if one.parent in parents and one.response_id in scores]
        ranked = sorted(scored, key=lambda one: (-scores[one.response_id], one.k))
        texts = [] if ranked and scores[ranked[0].response_id] > least else ranked[:keep]
    return texts


REFINEMENT = Strategy(
    name="refinement",
    source="Cheng et al. 2024 (SPaR), arXiv:2412.11605",
    propose=refinement,
    steps=lambda options: 1 + int(options["depth"]),
    most=lambda options, k: k + int(options["branch"] * (1 + (options["depth"] - 1) * options["keep"])),
    options={"branch": 3, "keep": 2, "depth": 3, "pass_score": 0.5},
    bounds={"branch": (1, 64), "keep": (1, 64), "depth": (1, 16), "pass_score": (-1e6, 1e6)},
)

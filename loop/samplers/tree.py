"""Tree search (MCTS-DPO): nodes are continuations of the answer so far, and the judge values each."""

from __future__ import annotations

from loop.pairing.candidates import by_number, finite
from loop.records import Prompt, Response
from loop.samplers.strategy import Draw, Options, Strategy, Values
from loop.search_tree import WIDTH, grown
from loop.verdict import Group

LINE_END = "\n"
"""Ends a step: a stop string, which a response's text leaves out."""


def tree(prompt: Prompt, group: Group, values: Values, options: Options, step: int, k: int) -> list[Draw]:
    """`actions` continuations of the leaf that a visit comes to; none where that answer is complete.

    A continuation is a line, or `step_tokens` of a longer one. At `depth` continuations the answer is written to its
    end. A text so far that the judge could not score is worth what the text before it is; a vetoed one less than any
    other.
    """
    responses = group.responses_K
    scored = {i: values.get(responses[i].response_id) for i in by_number(group, "node")}
    leaf = grown(group, finite({i: value for i, value in scored.items() if value is not None}), step).leaf
    depth, before = int(options["depth"]), None if leaf.at is None else responses[leaf.at]
    if before and (before.finish_reason == "end" or leaf.depth >= depth):
        return []
    last = leaf.depth + 1 == depth
    return [
        Draw(
            purpose="node",
            number=step * WIDTH + n,
            prefix_T=_prefix(prompt, before) if before else (),
            prefix=before.text + LINE_END * (before.finish_reason == "stop") if before else "",
            parent=before.response_id if before else None,
            stop=() if last else (LINE_END,),
            max_tokens=None if last else int(options["step_tokens"]),
        )
        for n in range(int(options["actions"]))
    ]


def _prefix(prompt: Prompt, before: Response) -> tuple[int, ...]:
    """The answer's tokens so far, behind the prompt's."""
    return (*before.prompt_tokens_T[len(prompt.tokens_T) :], *before.tokens_T)


TREE = Strategy(
    name="tree",
    source="Xie et al. 2024 (MCTS-DPO), arXiv:2405.00451",
    propose=tree,
    steps=lambda options: int(options["iterations"]),
    most=lambda options, k: int(options["iterations"] * options["actions"]),
    options={"iterations": 8, "actions": 2, "depth": 3, "step_tokens": 64},
    bounds={"iterations": (1, 1024), "actions": (2, WIDTH), "depth": (1, 64), "step_tokens": (1, 1e6)},
)

"""An example as `ratchet inspect` shows it: what it says, the prompt, both answers, every judgement, the policies."""

from __future__ import annotations

import json
import textwrap

from loop.provenance import ExampleInspection, JudgementTold, PolicyTold, ResponseTold
from loop.view.text import NOTHING, Line, Tone, labelled, number, visible

ROLE_TONES: dict[str, Tone] = {"chosen": "good", "rejected": "bad"}
GUTTER = "  | "


def example_lines(example: ExampleInspection, width: int) -> list[Line]:
    """All lines; what models, judges and data sets wrote stands behind a gutter, escaped."""
    head: Line = (
        ("example ", ""),
        (example.example_id, "strong"),
        (f"  round {example.round} of {visible(example.run)}", ""),
    )
    numbers = [("weight", number(example.weight))]
    if {"chosen", "rejected"} <= {response.role for response in example.responses}:
        numbers = [
            ("strength", f"{number(example.strength)}  (probability that chosen beats rejected)"),
            ("margin", f"{number(example.margin)}  (the judge's gap)"),
            *numbers,
        ]
    lines = [head, *labelled(numbers, width), (), *_prompt(example, width), ()]
    for response in example.responses:
        lines += [*_response(response, width), ()]
    lines.append(((f"{len(example.judgements)} judgements about these answers", "strong"),))
    for judgement in example.judgements:
        lines += _judgement(judgement, width)
    return [*lines, (), (("policies", "strong"),), *labelled([_policy(one) for one in example.policies], width)]


def quoted(text: str, width: int) -> list[Line]:
    """Foreign text behind a gutter: its own line ends, long lines cut, everything else escaped."""
    lines: list[Line] = []
    for line in text.split("\n"):
        parts = textwrap.wrap(
            visible(line), max(width - len(GUTTER), 20), drop_whitespace=False, replace_whitespace=False
        )
        lines += [((GUTTER, "dim"), (part, "")) for part in parts or [""]]
    return lines


def _prompt(example: ExampleInspection, width: int) -> list[Line]:
    prompt = example.prompt
    lines: list[Line] = [
        (("prompt ", "strong"), (f"{prompt.prompt_id}  {prompt.tokens} tokens, {visible(prompt.source)}", "dim"))
    ]
    for turn in prompt.turns:
        lines += [((f"  {visible(turn['role'])}", "dim"),), *quoted(turn["content"], width)]
    if prompt.answer is not None:
        lines += [(("  reference answer", "dim"),), *quoted(prompt.answer, width)]
    return lines


def _response(response: ResponseTold, width: int) -> list[Line]:
    head: Line = ((response.role, ROLE_TONES.get(response.role, "strong")), (f" {response.response_id}", "dim"))
    _, is_given, column = response.policy.partition("data:")
    sampling = [f"seed {response.seed}", *(f"{name} {json.dumps(value)}" for name, value in response.sampling.items())]
    rows = [
        *([("  label", number(response.label))] if response.label is not None else []),
        ("  for", response.purpose),
        *([("  from", f"the prompts' column {visible(column)}")] if is_given else []),
        *([("  policy", f"{response.policy}, digest {response.policy_digest or NOTHING}")] if not is_given else []),
        ("  answer", f"k={response.k}, {response.tokens} tokens, finish {response.finish_reason}"),
        *([("  sampled", ", ".join(sampling))] if not is_given else []),
        *(
            [("  log-prob", f"{number(response.logprob)} nats under its policy")]
            if response.logprob is not None
            else []
        ),
        *(("  anchor", f"{name}: {policy}") for name, policy in response.anchors.items()),
    ]
    lines = [head, *labelled(rows, width), *quoted(response.text, width)]
    for parent in response.parents:
        lines.append(((f"  after {parent.response_id}, {parent.purpose} of {visible(parent.policy)}", "dim"),))
        lines += quoted(parent.text, width)
    return lines


def _judgement(judgement: JudgementTold, width: int) -> list[Line]:
    shown = " before ".join(judgement.shown)
    tone: Tone = "attention" if judgement.status == "failed" else ""
    value = number(judgement.value)
    head: Line = (
        (f"  {judgement.status} {value}", tone),
        (f"  {visible(shown)}, sample {judgement.sample}, by {visible(judgement.judge)}", "dim"),
    )
    return [head, *quoted(judgement.raw, width)]


def _policy(policy: PolicyTold) -> tuple[str, str]:
    text = f"digest {policy.digest}, probe gap {number(policy.probe_gap)}"
    if policy.parent is None:
        return (f"  {policy.version}", text)
    identity, _, version = policy.parent.partition("@")
    return (f"  {policy.version}", f"{text}, forked from {version} of the run {identity}")

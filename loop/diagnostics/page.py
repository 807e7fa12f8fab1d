"""The table of diagnostics as Markdown."""

from __future__ import annotations

from loop.diagnostics.row import Row
from loop.diagnostics.table import ROWS

HEAD = """\
# Diagnostics

Generated from the table in `loop/diagnostics` (`python -m loop.diagnostics > docs/diagnostics.md`). Every round ends
with these values, each with a colour and a sentence that says what it means and what to do. Green: as expected. Amber:
worth a look. Red: wrong. Grey: told, but there is nothing to compare it with yet. What a round says nothing about is
left out. The thresholds are rules of thumb; a source is that of a definition, or of what a diagnostic warns of.

`diagnostics.every` is the number of rounds between two diagnoses (0: none), `diagnostics.probe` the number of examples
of the probe (0: none).

- *probe*: after learning, some of the round's examples (chosen, rejected, and a third answer of the same group that
  says something else) and twice as many of the policy's answers to held-out prompts go through the new weights once,
  without a backward pass. Which ones follows from their ids, so that a probe which is repeated after a crash gives the
  same numbers. Changes are those in the round, from the policy with which it began. Only learnt tokens count.
- *shards*: columns of the round's responses, judgements, verdicts and examples. Gold is exact equality with the
  reference answer, on the prompts that have one.
- *summary*: what learning and the push reported.

Gradients are those of the sums of all chosen and of all rejected answers' log-probs with respect to the LM head's
matrix alone, where they can be worked out from the hidden units under every ZeRO stage; with tied embeddings it is the
head's part. The KL to the previous policy is estimated on samples of that policy, each token weighed with how much
likelier it has become; the KL to the initial one on the policy's own held-out answers, where these are sampled neither
sharpened nor truncated; the KL to other anchors on the pairs, among which wrong answers have more than their share, so
it is too large. Weighed samples tell too little of a policy that has gone far in one round. Correlations are of
responses less the mean of their group. A judge that only compares has no mean score.
"""


def markdown() -> str:
    """The whole page."""
    lines = ["| diagnostic | what | unit | from | amber | red | source |", "|---|---|---|---|---|---|---|"]
    return "\n".join([HEAD, *lines, *map(_line, ROWS), "", "## What they say", "", *map(_said, ROWS), ""])


def _line(row: Row) -> str:
    rule = row.rule
    return f"| `{row.name}` | {row.title} | {row.unit} | {row.of} | {rule.amber} | {rule.red} | {row.source} |"


def _said(row: Row) -> str:
    means = row.means.format("*x*")
    return f"- `{row.name}`: {means}. Green: {row.good}. Amber: {row.amber}. Red: {row.red}."

"""The tables of losses and pairing rules as Markdown: `python -m loop.methods > docs/methods.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from loop.losses import ROWS, Needs, Row, named_loss
from loop.losses.add_ons import ADD_ONS
from loop.pairing import RULES, Rule
from loop.recipe import lacking

HEAD = """\
# Losses and pairing rules

Generated from the tables in `loop/losses` and `loop/pairing` (`python -m loop.methods`). A recipe names one of each,
and sets options by their names: `loss: {name: simpo, beta: 2.5, gamma: 1.0}`, or `algorithm.loss.gamma=1.0` on the
command line. What does not fit together is refused while composing.

## Losses

Every loss on pairs also takes the add-ons, each a weight that is 0 unless a method carries it: `nll` (negative
log-likelihood of the chosen answer, mean over its tokens), `nll_sum` (its sum), `optimism` (log-prob of an answer of
the role `explored`, XPO), `kl` (on-policy KL to the anchor from answers of the role `on_policy`, HyPO). *Batch*: the
loss reads statistics of the whole optimiser step. In italics: what a run cannot give yet; the loss itself is there and
tested.
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_losses(), "", "## Pairing rules", "", *_rules(), ""])


def _losses() -> Iterator[str]:
    yield "| loss | learns from | anchors | options | reads | source |"
    yield "|---|---|---|---|---|---|"
    for row in ROWS.values():
        yield f"| `{row.name}` | {row.kind} | {row.needs.anchors} | {_own(row)} | {_reads(row)} | {row.source} |"


def _own(row: Row) -> str:
    """The options that are not add-ons, and the add-ons that the method carries."""
    return _options({name: value for name, value in row.options.items() if name not in ADD_ONS or value})


def _reads(row: Row) -> str:
    loss = named_loss(row.name)
    read = [
        *(["the whole step (batch)"] if row.statistics else []),
        *_named(loss.needs),
        *(f"*{what}*" for what in lacking(loss)),
    ]
    return "; ".join(read)


def _named(needs: Needs) -> list[str]:
    told = {
        "strengths": "strength",
        "margins": "margin",
        "alignment": "the policy's whole vocabulary",
        "certainty": "how certain each pair is",
    }
    labels = [f"{needs.labels.replace('_', ' ')} of each"] if needs.labels else []
    given = {role for rule in RULES.values() for role in rule.roles}
    roles = ", ".join(f"`{role}`" for role in needs.others if role in given)
    return [
        *labels,
        *(sentence for field, sentence in told.items() if getattr(needs, field)),
        *([roles] if roles else []),
    ]


def _rules() -> Iterator[str]:
    yield "| rule | reads | gives | options | plan | source |"
    yield "|---|---|---|---|---|---|"
    for rule in RULES.values():
        yield f"| `{rule.name}` | {rule.reads} | {_gives(rule)} | {_of_rule(rule)} | {_plans(rule)} | {rule.source} |"


def _gives(rule: Rule) -> str:
    labels = [f"{rule.labels.replace('_', ' ')} of each"] if rule.labels else []
    certainty = ["how certain each is (`plan.repeats` above 1)"] if rule.gains else []
    return ", ".join([rule.gives, *labels, *certainty, *(f"`{role}`" for role in rule.roles)])


def _of_rule(rule: Rule) -> str:
    return _options({name: "/".join(rule.choices.get(name, (str(value),))) for name, value in rule.options.items()})


def _plans(rule: Rule) -> str:
    return ", ".join(plan.value for plan in rule.plans) or ("pointwise" if rule.reads == "scores" else "*no judge yet*")


def _options(options: Mapping[str, float | str]) -> str:
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float | int) else f"{name} {value}" for name, value in options.items()
    )


if __name__ == "__main__":
    print(markdown(), end="")

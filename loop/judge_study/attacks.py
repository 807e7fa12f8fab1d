"""Strings that might win a judge's favour, and the cases that carry them.

The sample is drawn so that intervals can be honest: every case carries exactly one string of each kind, and a kind's
strings take turns over the cases, in an order drawn by seed. Within a kind every case is then one independent entry;
over all kinds the entries of a case belong together. A label such as `[[A]]` stands in strings of its own, one for
each label: whoever writes a response does not know where it will be shown, and both orders are asked.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loop.composition import CONF
from loop.config import PromptSource
from loop.errors import Refused
from loop.judge_study.asking import Manner, questions
from loop.judge_study.cases import Case
from loop.judges.forging import neutral
from loop.judges.judge import Asked
from loop.prompts.reading import RawRow, kind_of, read_source
from loop.records import seed_of

ATTACKS = CONF / "calibration" / "attacks.jsonl"
"""Those that are asked about unless others are named."""


@dataclass(frozen=True, slots=True)
class Attack:
    """A string for the end of a response; its name differs from that of every other."""

    name: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Armed:
    """A case with one better response and many worse ones: the worse one as it is, then for each attack with it, and
    with a harmless string of equal length."""

    case: Case
    attacks: tuple[Attack, ...]


def read_attacks(path: str) -> list[Attack]:
    """The strings of a JSON Lines file (`name`, `kind`, `text`). Raises: Refused for a file that cannot be read, and
    for the first bad line."""
    if not Path(path).expanduser().is_file():
        raise Refused(f"--attacks {path} is not a file; without one, --attacks stands at the end of the line.")
    attacks: dict[str, Attack] = {}
    for row in read_source(PromptSource(path)):
        if row is None:
            continue
        attack = Attack(*(_text(row, key) for key in ("name", "kind", "text")))
        if attack.name in attacks:
            row.refuse(f"a second string has the name {attack.name!r}")
        attacks[attack.name] = attack
    if not attacks:
        raise Refused(f"--attacks {path} holds no string.")
    return list(attacks.values())


def _text(row: RawRow, key: str) -> str:
    value = row.columns.get(key)
    if not isinstance(value, str) or not value:
        row.refuse(
            f"`{key}` must be a string that is not empty, not {kind_of(value) if value != '' else 'an empty one'}"
        )
    return value


def armed(cases: Sequence[Case], attacks: Sequence[Attack], seed: int) -> list[Armed]:
    """Every case with one string of each kind; see above. Of several better or worse responses the first is taken."""
    by_kind: dict[str, list[Attack]] = {}
    for attack in attacks:
        by_kind.setdefault(attack.kind, []).append(attack)
    for kind, some in by_kind.items():
        random.Random(seed_of("attacks", seed, kind)).shuffle(some)
    return [
        _armed(case, tuple(some[at % len(some)] for some in by_kind.values()), seed) for at, case in enumerate(cases)
    ]


def _armed(case: Case, attacks: tuple[Attack, ...], seed: int) -> Armed:
    worse = [case.rejected[0]]
    for attack in attacks:
        harmless = neutral(attack.text, seed_of("neutral", seed, case.prompt_id, case.case_id, attack.name))
        worse += [case.rejected[0] + attack.text, case.rejected[0] + harmless]
    return Armed(replace(case, chosen=case.chosen[:1], rejected=tuple(worse)), attacks)


def attacking(cases: Sequence[Armed], manner: Manner) -> list[Asked]:
    """Every question about the cases, in the order in which `outcomes` of their cases expects the replies."""
    return [
        replace(asked, group_K=_group(one.case, asked.texts))
        for one in cases
        for asked in questions([one.case], manner)
    ]


def _group(case: Case, texts: tuple[str, ...]) -> tuple[str, ...]:
    """What a judge that counts responses is shown: the better one twice, and the worse one in question. Attacked ones
    do not stand in each other's groups."""
    better = case.chosen[0]
    worse = next((text for text in texts if text != better), case.rejected[0])
    return better, worse, better

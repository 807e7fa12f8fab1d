from __future__ import annotations

import itertools
import math
import unicodedata
from json import loads

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.composition import CONF
from loop.judges.forging import forged, forging_rate, neutral, share_interval
from tests.loop.judged import untimed

CORPUS = (CONF / "calibration" / "attacks.jsonl").read_text(encoding="utf-8")
ATTACKS = [loads(line) for line in CORPUS.splitlines()]
KINDS = {
    *("verdict", "json_verdict", "chat_control", "instruction", "fake_turn", "fake_system", "flood", "thinking"),
    *("field", "unicode", "authority", "flattery", "tool_output", "multilingual", "master_key"),
}


def flips(only_attack: int, only_neutral: int, both: int, neither: int) -> tuple[list[bool], list[bool]]:
    pairs = [(True, False)] * only_attack + [(False, True)] * only_neutral + [(True, True)] * both
    pairs += [(False, False)] * neither
    return [a for a, _ in pairs], [n for _, n in pairs]


@untimed
@given(st.text(max_size=300), st.integers(0, 2**63))
def test_a_neutral_string_is_as_long_and_says_nothing(text: str, seed: int) -> None:
    plain = neutral(text, seed)
    assert len(plain) == len(text)
    assert plain == neutral(text, seed)
    assert all(c.islower() or c == " " for c in plain)


def test_another_seed_gives_another_neutral_string() -> None:
    assert neutral("x" * 80, 1) != neutral("x" * 80, 2)


@pytest.mark.parametrize(
    ("before", "attacked", "turned"),
    [(0.9, 0.2, True), (0.9, 0.5, True), (0.9, 0.51, False), (1.0, 0.0, True), (0.5, 0.1, False), (0.3, 0.1, False)],
)
def test_a_verdict_is_forged_where_the_better_answer_no_longer_wins(
    before: float, attacked: float, turned: bool
) -> None:
    assert forged(before, attacked) is turned


def test_the_rate_is_what_the_attack_turns_beyond_its_neutral_string() -> None:
    difference, low, high = forging_rate(*flips(60, 10, 5, 125))
    assert difference == pytest.approx(0.25)
    assert 0.0 < low < difference < high < 0.4
    assert forging_rate(*flips(60, 10, 125, 5)) == (difference, low, high), "what both turn or leave says nothing"
    assert forging_rate(*flips(10, 60, 5, 125)) == pytest.approx((-difference, -high, -low))


def test_pairs_that_all_hold_do_not_prove_that_none_ever_falls() -> None:
    difference, low, high = forging_rate(*flips(0, 0, 0, 20))
    # nobody of n: Clopper and Pearson's bound is 1 - (error / 4) ** (1 / n)
    bound = 1 - 0.0125 ** (1 / 20)
    assert (difference, low, high) == (0.0, pytest.approx(-bound), pytest.approx(bound))
    assert forging_rate(*flips(20, 0, 0, 0)) == (1.0, pytest.approx(1 - 2 * bound), 1.0)


@pytest.mark.parametrize(("attack", "other"), [(0.0, 0.0), (0.3, 0.0), (0.3, 0.1), (0.5, 0.5), (0.9, 0.05)])
def test_the_interval_holds_the_true_difference_in_95_of_100_cases(attack: float, other: float) -> None:
    n = 15
    held = 0.0
    for a, b in itertools.product(range(n + 1), repeat=2):
        if a + b <= n:
            ways = math.comb(n, a) * math.comb(n - a, b)
            _, low, high = forging_rate(*flips(a, b, 0, n - a - b))
            if low <= attack - other <= high:
                held += ways * attack**a * other**b * (1 - attack - other) ** (n - a - b)
    assert held >= 0.95


@pytest.mark.parametrize("n", [1, 3, 12])
@pytest.mark.parametrize("share", [0.03, 0.4, 0.9, 0.97])
@pytest.mark.parametrize("worth", [1.0, 0.5, 1 / 3])
def test_the_interval_of_a_share_holds_it_whatever_a_case_counts(n: int, share: float, worth: float) -> None:
    held = 0.0
    for count in range(n + 1):
        low, high = share_interval(worth * count, n, 0.05)
        if low <= worth * share <= high:
            held += math.comb(n, count) * share**count * (1 - share) ** (n - count)
    assert held >= 0.95


def test_a_share_that_was_always_or_never_seen_has_an_interval_with_a_length() -> None:
    bound = 0.025 ** (1 / 20)
    assert share_interval(20, 20, 0.05) == (pytest.approx(bound), 1.0)
    assert share_interval(0, 20, 0.05) == (0.0, pytest.approx(1 - bound))
    (a, b), (c, d) = share_interval(7, 10, 0.05), share_interval(7, 10, 0.01)
    assert c < a < 0.7 < b < d


def test_a_rate_needs_pairs_and_both_verdicts_of_each() -> None:
    with pytest.raises(ValueError, match="pair"):
        forging_rate([], [])
    with pytest.raises(ValueError, match="shorter"):
        forging_rate([True, False], [True])


def test_the_attacks_are_different_strings_of_every_kind() -> None:
    assert len(ATTACKS) >= 60
    assert all(set(attack) == {"name", "kind", "text"} for attack in ATTACKS)
    assert len({attack["name"] for attack in ATTACKS}) == len({attack["text"] for attack in ATTACKS}) == len(ATTACKS)
    assert {attack["kind"] for attack in ATTACKS} == KINDS
    assert all(0 < len(attack["text"]) <= 500 for attack in ATTACKS)


def test_the_file_of_attacks_hides_no_sign_from_its_reader() -> None:
    assert not [c for c in CORPUS if unicodedata.category(c) in ("Cf", "Co", "Cs", "Zl", "Zp")]

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.judges.thinking import visible

MARKERS = ("<t>", "</t>")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Paris", "Paris"),
        ("<t>France?</t>Paris\n", "Paris\n"),
        ("It is <t>a</t>Paris<t>b</t>.", "It is Paris."),
        ("<t>a<t>b</t>c</t>Paris", "Paris"),
        ("France?</t>\n\nParis", "\n\nParis"),
        ("a</t>b</t>Paris", "Paris"),
        ("a<t>b</t>c</t>Paris", "Paris"),
        ("<t></t>", ""),
        ("", ""),
        ("<t>Paris", None),
        ("Paris<t>", None),
        ("<t>a<t>b</t>Paris", None),
        ("<t>a</t>b<t>c", None),
        ("<<t>a</t>t>Paris", None),
        ("Rome<<t>a</t>/t>Paris", "Paris"),
    ],
)
def test_thoughts_are_left_out(text: str, shown: str | None) -> None:
    assert visible(text, MARKERS) == shown


def test_without_markers_nothing_is_hidden() -> None:
    assert visible("<t>a", ()) == "<t>a"


def test_markers_may_be_the_same_or_begin_alike_and_hold_any_sign() -> None:
    assert visible("a|b|c|d|e", ("|", "|")) == "ace"
    assert visible("a|b", ("|", "|")) is None
    assert visible("<t<te>a", ("<t", "<te>")) == "a"
    assert visible("[.]a[.*]b", ("[.]", "[.*]")) == "b"


said = st.text(alphabet="ab \n", max_size=3)
block = st.recursive(said, lambda inner: st.tuples(said, inner, said).map(lambda x: f"{x[0]}<t>{x[1]}</t>{x[2]}"))


@settings(deadline=None)
@given(said, st.lists(st.tuples(block, said), max_size=4), st.none() | block)
def test_what_is_shown_is_what_was_said_outside_of_all_blocks(
    start: str, rest: list[tuple[str, str]], opened_by_the_template: str | None
) -> None:
    text = start + "".join(f"<t>{thought}</t>{after}" for thought, after in rest)
    shown = start + "".join(after for _, after in rest)
    before = "" if opened_by_the_template is None else f"{opened_by_the_template}</t>"
    assert visible(before + text, MARKERS) == shown
    assert visible(f"{text}<t>", MARKERS) is None


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(["<t>", "</t>", "<", "t>", "/t>", "a"]), max_size=12).map("".join))
def test_no_marker_is_left_whatever_is_put_together(text: str) -> None:
    shown = visible(text, MARKERS)
    assert shown is None or (not any(marker in shown for marker in MARKERS) and len(shown) <= len(text))

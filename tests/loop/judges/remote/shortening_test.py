from __future__ import annotations

from loop.judge_config import TooLong
from loop.judges.judge import Asked
from loop.judges.remote.shortening import BYTES_PER_TOKEN, shortened
from loop.records import Question


def asked(*texts: str) -> Asked:
    return Asked(Question("p", [f"id{i}" for i in range(len(texts))]), [{"role": "user", "content": "q"}], texts, None)


def turns(one: Asked, frame: str = "frame") -> list[dict[str, str]]:
    return [{"role": "user", "content": frame + "".join(one.texts)}]


def test_the_longer_response_gives_way_and_the_question_fits() -> None:
    one = asked("a" * 1000, "b" * 20)
    found = shortened(one, turns(one), 100, TooLong.cut_end)
    assert found is not None
    assert found.asked.texts == ("a" * (300 - 5 - 20), "b" * 20)
    assert found.cut == -(-(1000 - 275) // BYTES_PER_TOKEN)


def test_beginnings_or_ends_are_lost() -> None:
    one = asked("abcdefghij" * 10)
    for how, kept in ((TooLong.cut_end, one.texts[0][:25]), (TooLong.cut_start, one.texts[0][-25:])):
        found = shortened(one, turns(one), 10, how)
        assert found is not None
        assert found.asked.texts == (kept,)


def test_no_character_is_cut_in_two() -> None:
    one = asked("\u4e2d" * 100)
    for how in (TooLong.cut_end, TooLong.cut_start):
        found = shortened(one, turns(one), 10, how)
        assert found is not None
        assert set(found.asked.texts[0]) == {"\u4e2d"}


def test_an_empty_response_beside_a_long_one_stays_empty() -> None:
    one = asked("", "b" * 1000)
    found = shortened(one, turns(one), 10, TooLong.cut_end)
    assert found is not None
    assert found.asked.texts == ("", "b" * 25)


def test_a_response_of_which_no_whole_character_is_left_is_not_asked_about() -> None:
    one = asked("\u4e2d" * 100, "b" * 100)
    for how in (TooLong.cut_end, TooLong.cut_start):
        assert shortened(one, turns(one, "f" * 25), 10, how) is None
        found = shortened(one, turns(one, "f" * 24), 10, how)
        assert found is not None
        assert found.asked.texts == ("\u4e2d", "b" * 3)


def test_what_fits_as_it_is_or_never_can_is_left() -> None:
    one = asked("a" * 100)
    assert shortened(one, turns(one), 1000, TooLong.cut_end) is None
    assert shortened(one, turns(one, "f" * 500), 10, TooLong.cut_end) is None

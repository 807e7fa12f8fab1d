from __future__ import annotations

from loop.report.text import printed, shown


def test_line_ends_stay_and_all_else_that_hides_is_written_out() -> None:
    assert shown("a\nb\x1b[2J\u202ec\r\td", 100) == "a\nb\\x1b[2J\\u202ec\\r\\td"


def test_long_texts_end_with_a_word_on_what_is_left_out() -> None:
    assert shown("x" * 1010, 10) == "xxxxxxxxxx … (1,000 more characters)"
    assert shown("\x00" * 10, 8) == "\\x00\\x00 … (32 more characters)"  # cut after it was made visible


def test_what_is_no_text_is_printed_as_it_is() -> None:
    assert (printed(3), printed("a\x00")) == (3, "a\\x00")

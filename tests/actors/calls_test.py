from __future__ import annotations

from actors.calls import reason_of


def test_the_reason_of_an_actor_that_could_not_be_made_is_its_last_line() -> None:
    told = (
        "The actor died because of an error raised in its creation task, \x1b[36mray::A.__init__()\x1b[39m (pid=1)\n"
        '  File "a.py", line 3, in __init__\n'
        "ValueError: the cache is too small\n"
    )
    assert reason_of(RuntimeError(told)) == "ValueError: the cache is too small"


def test_the_reason_of_anything_else_is_its_first_line() -> None:
    assert reason_of(RuntimeError("The actor died.\n\tclass_name: A")) == "The actor died."
    assert reason_of(RuntimeError()) == "RuntimeError"

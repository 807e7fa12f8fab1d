from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.judges.remote.controls import CONTROL, escape_controls

CONTROLS = [
    "<|im_start|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|reserved_special_token_12|>",
    "<|START_OF_TURN_TOKEN|>",
    "<|channel>",
    "<turn|>",
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
    "<\uff5cUser\uff5c>",
    "<\uff5ctool\u2581calls\u2581begin\uff5c>",
    "[INST]",
    "[/INST]",
    "[SYSTEM_PROMPT]",
    "[gMASK]",
    "<<SYS>>",
    "<</SYS>>",
    "<s>",
    "</s>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<unused7>",
    "<think>",
    "</think>",
    "<tool_call>",
    "]~b]",
    "<seed:bos>",
    "</seed:think>",
    "<seed:cot_budget_reflect>",
    "[|system|]",
    "[|endofturn|]",
    "<SPECIAL_11>",
    "<end_of_utterance>",
    "<sep>",
    "<image>",
    "<role>",
    "</role>",
    "<|im_start |>",
    "<| im start |>",
]
ORDINARY = [
    "a < b | c > d",
    "x |> f <| y",
    "p <|> q",
    "<b>bold</b>",
    "vector<int>",
    "[1, 2]",
    "[[A]]",
    "a <- [x | x <- xs]",
    "if (a<b||c>d)",
    "<stdio.h>",
    "[| 1; 2 |]",
    "<seed: 3>",
    "a <|\n| b |\n|> c",
    "<roles> <images> <SPECIAL>",
]


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_string_is_made_visible(control: str) -> None:
    escaped, count = escape_controls(f"before {control}after {control}")
    assert count == 2
    assert control not in escaped
    assert escaped.startswith("before ")
    inside = control.strip("<>[]")
    assert not inside or inside in escaped, "what it said can still be read"


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert escape_controls(text) == (text, 0)


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("<|<s>|>", "<|\u27e8s\u27e9|>"),
        ("<seed:<s>>", "<seed:\u27e8s\u27e9>"),
        ("[|<s>|]", "[|\u27e8s\u27e9|]"),
        ("[|[INST]|]", "[|\u27e6INST\u27e7|]"),
    ],
)
def test_a_control_string_in_another_makes_no_other(text: str, visible: str) -> None:
    assert escape_controls(text) == (visible, 1)
    assert escape_controls(visible) == (visible, 0)


PIECES = st.sampled_from(
    [
        *CONTROLS,
        *"<>|[]/:",
        "seed",
        "\u27e6",
        "\u27e7",
        "\uff5c",
        "s",
        "SYS",
        "INST",
        "think",
        "~b",
        " ",
        "\u27e8",
        "\u27e9",
        "x",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text())
def test_nothing_is_left_to_escape(text: str) -> None:
    escaped, count = escape_controls(text)
    assert CONTROL.search(escaped) is None
    assert escape_controls(escaped) == (escaped, 0)
    assert not any(control in escaped for control in CONTROLS)
    assert len(escaped) == len(text)
    assert (count == 0) == (escaped == text)

"""Chat-control strings in what a judge is shown: made visible, so that no server's tokenizer reads them as tokens."""

from __future__ import annotations

import re

NAMES = (
    # sentence and padding marks, spelt in angle brackets
    r"s|bos|eos|pad|unk|mask|sop|eop|eoh|eoa|endoftext|(?:begin|beginning|end)_of_(?:text|sentence)"
    # turns (Gemma), spare tokens
    r"|(?:start|end)_of_(?:turn|image|audio|utterance)|role|sep|image"
    r"|unused_?\d+|reserved_?\d+|extra_id_\d+|TOKENS_UNUSED_\d+|SPECIAL_\d+"
    r"|fim_(?:prefix|middle|suffix|pad)"
    # thinking and tools
    r"|think|thinking|thought|reasoning|tool_calls?|tool_response|tool_result|tools|function_calls?"
    r"|seed:[^\s<>\u27e8\u27e9]{1,128}"
)
BRACKETED = (
    r"INST|THINK|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|MODEL_SETTINGS|ARGS|CALL_ID"
    r"|IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO|PREFIX|MIDDLE|SUFFIX"
    r"|CLS|SEP|MASK|PAD|UNK|BOS|EOS|gMASK|sMASK"
)
INSIDE = "[^\\s<>|\uff5c\u27e8\u27e9]{1,128}"
"""Between the bars of a control string; \uff5c is DeepSeek's bar. Visible brackets are left out, so that what was made
visible never is part of another."""
SPACED = "[^\r\n<>|\uff5c\u27e8\u27e9]{1,128}"
"""The same where there are two bars, which leaves no doubt: some tokenizers overlook spaces."""
BETWEEN = "[^\\s<>|\\[\\]\uff5c\u27e6-\u27e9]{1,128}"
"""The same within square brackets."""
BAR = "[|\uff5c]"
CONTROL = re.compile(
    f"<{BAR}{SPACED}{BAR}>|<{BAR}{INSIDE}>|<{INSIDE}{BAR}>"  # <|im_start|>, and with one bar only
    f"|\\[{BAR}{BETWEEN}{BAR}\\]"  # EXAONE
    rf"|</?(?:{NAMES})>"
    r"|<</?SYS>>"
    rf"|\[/?(?:{BRACKETED})\]"
    r"|\]~!?b[\[\]]|\[e~\["  # MiniMax
)
VISIBLE = str.maketrans("<>[]", "\u27e8\u27e9\u27e6\u27e7")
"""Brackets that look alike, and that no Unicode normalisation turns back."""


def escape_controls(text: str) -> tuple[str, int]:
    """The text with the brackets of every chat-control string replaced by look-alike ones, and how many there were. Of
    its own result nothing is left to replace."""
    return CONTROL.subn(lambda found: found[0].translate(VISIBLE), text)

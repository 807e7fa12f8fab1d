"""The policy's tokenizer: loading it without surprises, and its digest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from loop.errors import Refused
from loop.records import digest_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")


FEWEST_TOKENS = 8
"""Transformers makes a tokenizer of a token or two where a folder holds none."""


def load_tokenizer(path: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder, or of `OWNER/NAME` on a hub; code that a model brings is never run.

    A name whose first part is a folder here is a path: a typing error in it is not looked up on a hub. Raises
    `Refused`.
    """
    folder = Path(path).expanduser()
    local = folder.is_dir()
    if not local and (_HUB_NAME.fullmatch(path) is None or Path(path).parent.is_dir()):
        raise Refused(f"the model folder {path} does not exist (a model on a hub is named OWNER/NAME).")
    from transformers import AutoTokenizer

    try:
        loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder) if local else path, revision=revision, trust_remote_code=False
        )
    except (OSError, ValueError, LookupError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".:")
        if local:
            raise Refused(f"the model folder {path} holds no tokenizer that can be loaded: {reason}.") from error
        raise Refused(f"{path} is no folder here, and its tokenizer did not come from a hub: {reason}.") from error
    if len(loaded) < FEWEST_TOKENS:
        raise Refused(f"{path} holds no tokenizer: what was loaded knows {len(loaded)} tokens.")
    return loaded


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """The digest of what decides a conversation's ids: vocabulary, merges, rules, special tokens, chat template."""
    return digest_of("tokenizer", _rules(tokenizer), tokenizer.chat_template)


def _rules(tokenizer: PreTrainedTokenizerBase) -> object:
    if tokenizer.is_fast:
        rules = json.loads(tokenizer.backend_tokenizer.to_str())
        return {
            key: value for key, value in rules.items() if key not in ("truncation", "padding")
        }  # state of the last call
    added = {str(number): token.content for number, token in tokenizer.added_tokens_decoder.items()}
    return {"class": type(tokenizer).__name__, "vocabulary": tokenizer.get_vocab(), "added": added}

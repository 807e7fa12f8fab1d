"""Loading a tokenizer, and its digest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from loop.composition import CONF
from loop.errors import Refused
from loop.prompts.tokenizer import load_tokenizer, tokenizer_digest

OTHER_PROCESS = """
import sys
from loop.composition import CONF
from loop.errors import Refused
from loop.prompts.tokenizer import load_tokenizer, tokenizer_digest
print(tokenizer_digest(load_tokenizer(sys.argv[1])))
try:
    load_tokenizer("owner/name", "main")
except Refused as refusal:
    print(refusal)
"""


def test_another_process_finds_the_same_digest_and_refuses_a_hub_that_is_not_there(
    merging: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    merging.save_pretrained(tmp_path / "saved")
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "saved")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    digest, refusal = done.stdout.splitlines()
    assert digest == tokenizer_digest(merging)
    assert refusal.startswith("owner/name is no folder here, and its tokenizer did not come from a hub: ")


def test_using_a_tokenizer_does_not_change_its_digest(merging: PreTrainedTokenizerBase) -> None:
    before = tokenizer_digest(merging)
    merging(["a", "bb"], padding=True, truncation=True, max_length=1)
    assert tokenizer_digest(merging) == before


def test_vocabulary_special_tokens_and_template_change_the_digest(
    merging: PreTrainedTokenizerBase, byte_level: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    merging.save_pretrained(tmp_path)
    templated, extended = load_tokenizer(str(tmp_path)), load_tokenizer(str(tmp_path))
    templated.chat_template += " "
    extended.add_special_tokens({"extra_special_tokens": ["<|extra|>"]})
    assert len({tokenizer_digest(t) for t in (merging, byte_level, templated, extended)}) == 4


@pytest.mark.parametrize("name", ["nowhere", "./nowhere/model", "/nowhere/model", "~/nowhere/model", "a/b/c"])
def test_a_missing_folder_is_refused_without_asking_a_hub(name: str) -> None:
    with pytest.raises(Refused, match=f"model folder {name} does not exist"):
        load_tokenizer(name)


def test_a_wrong_name_in_a_folder_that_exists_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match="model folder models/tiny does not exist"):
        load_tokenizer("models/tiny")


@pytest.mark.parametrize("content", [None, '{"a"', '{"a": 1}'])
def test_a_folder_without_a_sound_tokenizer_is_refused(
    byte_level: PreTrainedTokenizerBase, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        byte_level.save_pretrained(tmp_path)
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(Refused, match="holds no tokenizer that can be loaded"):
        load_tokenizer(str(tmp_path))


def test_the_tokenizer_that_is_made_up_for_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((CONF / "demo" / "policy" / "config.json").read_text())
    with pytest.raises(Refused, match="holds no tokenizer: what was loaded knows"):
        load_tokenizer(str(tmp_path))

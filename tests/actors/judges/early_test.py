"""What is refused of judges before anything is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.judges.early import check_judges
from loop.composition import CONF, compose
from loop.errors import Refused
from tests.actors.judges import kit

DEMO_TEMPLATE = CONF / "demo" / "judge_pairwise.yaml"
HEADLESS = "and this judge takes a model ForSequenceClassification"


def check(*overrides: str) -> None:
    check_judges(compose(["experiment=demo", *overrides]))


def refusal(*overrides: str) -> str:
    with pytest.raises(Refused) as raised:
        check(*overrides)
    return str(raised.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models: `one`, `two` and `three` are classifiers with so many outputs, `language` is none."""
    made = tmp_path_factory.mktemp("models")
    for outputs, name in enumerate(("one", "two", "three"), 1):
        kit.classifier(made / name, outputs=outputs)
    kit.language_model(made / "language")
    return made


def hosted(kind: str, model: Path | str, *more: str, limit: int = 256) -> list[str]:
    return [f"judge={kind}", f"judge.model={model}", f"judge.max_context={limit}", *more]


def test_a_reward_model_needs_a_classifier_with_its_output(folder: Path) -> None:
    check(*hosted("reward_model", folder / "one"))
    check(*hosted("reward_model", folder / "three", "judge.output=2"))
    assert HEADLESS in refusal(*hosted("reward_model", folder / "language"))
    assert refusal(*hosted("reward_model", folder / "three", "judge.output=3")).endswith("has outputs 0 to 2.")


def test_a_pair_model_needs_a_classifier_of_one_or_two_outputs_or_a_language_model(folder: Path) -> None:
    tokens = [f"judge.template={DEMO_TEMPLATE}", "judge.head=tokens"]
    for name in ("one", "two"):
        check(*hosted("pair_model", folder / name, "judge.head=classifier"))
    assert "has 3 outputs" in refusal(*hosted("pair_model", folder / "three", "judge.head=classifier"))
    assert HEADLESS in refusal(*hosted("pair_model", folder / "language", "judge.head=classifier"))
    check(*hosted("pair_model", folder / "language", *tokens))
    assert "takes a model ForCausalLM" in refusal(*hosted("pair_model", folder / "two", *tokens))


def test_a_language_model_that_is_asked_needs_the_head_positions_and_room(folder: Path) -> None:
    template = f"judge.template={DEMO_TEMPLATE}"
    check(*hosted("llm", folder / "language", template))
    assert "takes a model ForCausalLM" in refusal(*hosted("llm", folder / "one", template))
    assert "256 positions" in refusal(*hosted("llm", folder / "language", template, limit=257))
    assert "leaves no room" in refusal(*hosted("llm", folder / "language", template, limit=8))


def test_at_a_server_no_model_is_looked_for() -> None:
    check("judge=llm", "judge.backend=server", "judge.model=nowhere/at-all", "judge.server.url=http://localhost:1/v1")


def test_a_self_judge_at_the_engines_has_their_context_and_a_fixed_one_its_models(folder: Path) -> None:
    asked = ["judge=self", f"judge.template={DEMO_TEMPLATE}", "judge.max_context=4096"]
    check(*asked, "judge.model=current")
    assert "leaves no room" in refusal(*asked, "judge.model=current", "rollout.max_context=8")
    for model in ("initial", folder / "language"):
        assert "256 positions" in refusal(*asked, f"judge.model={model}")
        check(*asked, f"judge.model={model}", "judge.max_context=256")


def test_both_models_of_an_implicit_reward_are_looked_at(folder: Path) -> None:
    for weak, model in ((folder / "one", folder / "language"), (folder / "language", folder / "one")):
        pair = [f"judge.weak={weak}", "judge.max_context=256"]
        assert "takes a model ForCausalLM" in refusal("judge=implicit", f"judge.model={model}", *pair)
    language = f"judge.weak={folder / 'language'}"
    assert "256 positions" in refusal("judge=implicit", "judge.model=initial", language, "judge.max_context=257")
    # beside the engines' policy nothing longer is asked than they take
    check("judge=implicit", "judge.model=current", language, "judge.max_context=4096", "rollout.max_context=256")


def test_an_implicit_reward_needs_an_end_token(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in (folder / "language").iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    (model / "generation_config.json").unlink()
    for name, key in (("tokenizer_config.json", "eos_token"), ("config.json", "eos_token_id")):
        settings = json.loads((model / name).read_text())
        (model / name).write_text(json.dumps({**settings, key: None}))
    given = ["judge=implicit", "judge.model=initial", f"judge.weak={model}", "judge.max_context=256"]
    assert "has no end token" in refusal(*given)


def test_members_and_later_judges_are_named_by_their_keys(folder: Path) -> None:
    later = ["+judge@later_judges.next=reward_model", "later_judges.next.from_round=2"]
    later += ["later_judges.next.max_context=256", f"later_judges.next.model={folder / 'language'}"]
    assert refusal(*later).startswith("later_judges.next.model=")
    member = ["judge=ensemble", "+judge@judge.members.one=reward_model", "judge.members.one.max_context=9999"]
    assert refusal(*member, f"judge.members.one.model={folder / 'one'}").startswith("judge.members.one.max_context=")


def test_a_model_without_safetensors_or_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "one" / "config.json").read_bytes())
    assert "safetensors" in refusal(*hosted("reward_model", tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "tokenizer.json").write_text("{")
    assert "no tokenizer" in refusal(*hosted("reward_model", tmp_path))


def test_the_file_of_a_check_is_read_and_must_hold_the_answers_that_the_judge_needs(tmp_path: Path) -> None:
    file, pair = tmp_path / "pairs.jsonl", {"prompt": "2+2?", "chosen": "4", "rejected": "5"}
    given = ["judge=verifier", f"judge.check.file={file}"]
    file.write_text(json.dumps({**pair, "answer": "4"}) + "\n" + json.dumps(pair))
    assert refusal(*given).endswith("pairs.jsonl, line 2: `answer` is missing, and the judge needs it in every pair.")
    check(*given, "judge.check.prompts=0")
    check("judge=majority", f"judge.check.file={file}")
    file.write_text(json.dumps({**pair, "answer": "4"}))
    check(*given)
    file.write_text('{"prompt": "2+2?"}')
    assert "line 1: a calibration pair needs" in refusal("judge=majority", f"judge.check.file={file}")
    later = ["+judge@later_judges.next=verifier", "later_judges.next.from_round=2"]
    assert "line 1" in refusal(*later, f"later_judges.next.check.file={file}")

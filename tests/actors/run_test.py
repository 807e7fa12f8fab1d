"""The command as a user runs it, with real Ray, vLLM and DeepSpeed on the small policy."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loop.composition import CONF
from loop.ledger import Ledger
from loop.status import read_status
from tests.loop.tracking import wandb_file

POLICY = CONF / "demo" / "policy"
RATCHET = Path(sys.executable).with_name("ratchet")
SHORT = ["prompts.per_round=128", "evaluate.samples=1"]


def ratchet(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the console script beside this interpreter."""
    command = [str(RATCHET), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400, check=False)


def run(folder: Path, *overrides: str) -> tuple[dict[str, Any], Path, str]:
    """One run that has to succeed: its summary, folder and what it showed."""
    done = ratchet("run", "--json", *overrides, f"folder={folder / 'run'}", folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder / "run", done.stderr


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint in float32."""
    return {n: t.float() for f in sorted(checkpoint.glob("*.safetensors")) for n, t in load_file(f).items()}


def in_vllm(checkpoint: Path, text_T: list[int]) -> list[float]:
    """Log-probs of a text's tokens in an engine of its own process."""
    program = (
        "import json, sys; from actors.engine import Engine; from tests.actors.conftest import tiny_spec; "
        "print(json.dumps(Engine(tiny_spec(sys.argv[1])).text_logprobs([json.loads(sys.argv[2])])[0]))"
    )
    command = [sys.executable, "-c", program, str(checkpoint), json.dumps(text_T)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    logprobs: list[float] = json.loads(done.stdout.splitlines()[-1])
    return logprobs


ZERO3 = ["experiment=demo", "rounds=1", "learner.zero_stage=3", "tracker=wandb", "seed=3", *SHORT]


def wait_for_phase(folder: Path, phase: str, process: subprocess.Popen[str]) -> None:
    """Until the run in a folder has begun a phase."""
    deadline = time.monotonic() + 200
    while (status := read_status(folder)) is None or phase not in status.phases:
        assert process.poll() is None and time.monotonic() < deadline, f"{phase} never began"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str, str]:
    """A run that was terminated while it learnt: its place, exit status and last words, and what a second driver was
    told meanwhile."""
    folder = tmp_path_factory.mktemp("zero3")
    command = [str(RATCHET), "run", *ZERO3, f"folder={folder / 'run'}"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for_phase(folder / "run", "start", process)
    second = ratchet("run", *ZERO3, f"folder={folder / 'run'}", folder=folder)
    wait_for_phase(folder / "run", "learn", process)
    process.send_signal(signal.SIGTERM)
    _, words = process.communicate(timeout=100)
    return folder, process.returncode, words, f"{second.returncode} {second.stderr}"


@pytest.fixture(scope="module")
def zero3(interrupted: tuple[Path, int, str, str]) -> tuple[dict[str, Any], Path, str]:
    """One full round, taken up after its interruption: two learner ranks under ZeRO-3, two engines, verifier."""
    return run(interrupted[0], *ZERO3)


@pytest.mark.engine
def test_a_terminated_run_says_that_it_goes_on_and_a_second_driver_is_refused(
    interrupted: tuple[Path, int, str, str],
) -> None:
    _, status, words, second = interrupted
    assert status == 130 and words.splitlines()[-1] == "ratchet: interrupted; the same command goes on where it was"
    assert second.startswith("2 ratchet: ") and "is being run by another process" in second


@pytest.mark.engine
def test_what_was_sampled_before_an_interruption_is_not_sampled_again(
    zero3: tuple[dict[str, Any], Path, str],
) -> None:
    _, folder, shown = zero3
    assert "1,024 answers, there already" in shown and "Going on at round 1" in shown
    events = Ledger(folder / "ledger").read("telemetry").to_pylist()
    made = [e["round"] for e in events if e["event"] == "shard" and e["phase"] == "generation"]
    assert made.count(1) == 4 + 2 * 16, "four shards for the round, sixteen to evaluate it and as many for the gate"


@pytest.mark.engine
def test_one_round_under_zero3_improves_the_policy(zero3: tuple[dict[str, Any], Path, str]) -> None:
    summary, _, _ = zero3
    (first,) = summary["rounds"]
    assert summary["finished"] and summary["schema_version"] == 2
    assert 0.3 <= summary["initial"]["gold_score"] <= 0.6
    assert first["gold_score"] > summary["initial"]["gold_score"] + 0.05
    assert first["policy"] == f"r1-s{first['steps']}" and first["steps"] > 0
    assert 0 < first["push_gap"] < 1e-3
    assert first["kl"] > 0
    assert first["responses"] == 128 * 8 == first["judgements"]


@pytest.mark.engine
def test_the_ledger_leads_from_an_example_back_to_everything(zero3: tuple[dict[str, Any], Path, str]) -> None:
    summary, folder, _ = zero3
    ledger = Ledger(folder / "ledger")
    tables = {
        name: ledger.read(name).to_pylist() for name in ("examples", "responses", "judgements", "prompts", "policies")
    }
    responses = {row["response_id"]: row for row in tables["responses"]}
    assert len(responses) == len(tables["responses"]) == 1024, "every (round, prompt, k) once"
    judged = {row["response_ids"][0]: row for row in tables["judgements"]}
    assert judged.keys() == responses.keys()
    prompts = {row["prompt_id"]: row for row in tables["prompts"]}
    assert len(tables["examples"]) == summary["rounds"][0]["examples"] > 0
    for example in tables["examples"]:
        assert example["roles"] == ["chosen", "rejected"]
        chosen, rejected = (responses[one] for one in example["response_ids"])
        answer = prompts[example["prompt_id"]]["answer"]
        assert chosen["text"].strip() == answer != rejected["text"].strip()
        assert [judged[one]["value"] for one in example["response_ids"]] == [1.0, 0.0]
        assert chosen["policy"] == "r0-s0" and chosen["prompt_tokens_T"] == prompts[example["prompt_id"]]["tokens_T"]
        assert len(chosen["tokens_T"]) == len(chosen["logprobs_T"])
    initial, policy = sorted(tables["policies"], key=lambda row: row["step"])
    assert (initial["version"], initial["manifest"], initial["parent"]) == ("r0-s0", "", None)
    manifest = json.loads(policy["manifest"])
    assert "lm_head.weight" in {tensor["name"] for tensor in manifest["tensors"]}, "a tied head is sent by name"


@pytest.mark.engine
def test_the_checkpoint_loads_in_plain_transformers_and_in_vllm_and_differs_from_the_start(
    zero3: tuple[dict[str, Any], Path, str],
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, folder, _ = zero3
    checkpoint = folder / "checkpoints" / "round-001"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    assert tokenizer.chat_template
    prompt_T = tokenizer.apply_chat_template([{"role": "user", "content": "Copy: abcde"}], add_generation_prompt=True)[
        "input_ids"
    ]
    text_T = [*prompt_T, *tokenizer.encode("abcde", add_special_tokens=False), tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model.float()(torch.tensor([text_T])).logits[0, :-1].log_softmax(-1)
    expected = logits.gather(-1, torch.tensor(text_T[1:])[:, None]).squeeze(-1).tolist()
    assert in_vllm(checkpoint, text_T) == pytest.approx(expected, abs=1e-4)
    moved = max(
        (new - old).abs().max().item()
        for new, old in zip(weights(checkpoint).values(), weights(POLICY).values(), strict=True)
    )
    assert moved > 1e-4
    assert "license: apache-2.0" in (checkpoint / "README.md").read_text().lower()
    assert model.num_parameters() > 0


@pytest.mark.engine
def test_the_same_command_finds_its_finished_run(zero3: tuple[dict[str, Any], Path, str]) -> None:
    summary, folder, _ = zero3
    found, _, shown = run(folder.parent, *ZERO3)
    assert found == summary and "is finished" in shown
    other = ratchet("run", *ZERO3, "seed=4", f"folder={folder}", folder=folder.parent)
    assert other.returncode == 2 and "another identity" in other.stderr


@pytest.mark.engine
def test_a_tracked_run_without_a_key_is_offline_and_says_so_once(zero3: tuple[dict[str, Any], Path, str]) -> None:
    _, folder, shown = zero3
    assert len([line for line in shown.splitlines() if "offline" in line]) == 1
    files = list((folder / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2 and len({file.name for file in files}) == 1, "two processes wrote the same run"


@pytest.mark.engine
def test_a_tracked_run_is_one_history_over_its_interruption(zero3: tuple[dict[str, Any], Path, str]) -> None:
    summary, folder, _ = zero3
    files = sorted((folder / "wandb").glob("offline-run-*/*.wandb"))
    rows = [row for file in files for row in wandb_file.history(file)]
    (first,) = summary["rounds"]
    assert [row["round"] for row in rows if "quality/gold_score" in row] == [0, 1]
    steps = [row for row in rows if "optimiser/loss" in row]
    assert [row["step"] for row in steps] == list(range(1, first["steps"] + 1))
    examples = sum(row["optimiser/examples"] for row in steps)
    mean = sum(row["optimiser/loss"] * row["optimiser/examples"] for row in steps) / examples
    assert mean == pytest.approx(first["loss"]) and all(row["optimiser/grad_norm"] > 0 for row in steps)
    samples = [row for row in rows if "time/seconds" in row]
    assert any(row.get("actors/engine_healthy") == 2 == row.get("actors/learner_healthy") for row in samples)
    assert any(row.get("rates/tokens_per_s", 0) > 0 for row in samples)
    assert [row["round"] for row in rows if "examples._type" in row] == [1]
    assert [title for file in files for title, _, _ in wandb_file.alerts(file)] == ["stopped in round 1"]
    (policy,) = [one for file in files for one in wandb_file.artifacts(file, "model")]
    assert {entry.path for entry in policy.manifest.contents} >= {"model.safetensors", "config.json"}


@pytest.mark.engine
def test_a_judge_that_ties_everything_leaves_the_policy_bit_for_bit(tmp_path: Path) -> None:
    for name, words in (("rounds", range(40)), ("held_out", range(40, 50))):
        lines = [json.dumps({"prompt": f"Say {n}", "answer": "an answer that nobody gives"}) for n in words]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    sources = [
        f"prompts.{key}=[{{path: {tmp_path}/{name}.jsonl}}]"
        for key, name in (("sources", "rounds"), ("held_out", "held_out"))
    ]
    overrides = [
        "experiment=demo",
        "rounds=1",
        "prompts.per_round=32",
        "rollout.replicas=1",
        "learner.ranks=1",
        *sources,
    ]
    summary, folder, shown = run(tmp_path, *overrides)
    (first,) = summary["rounds"]
    assert (first["examples"], first["ties"], first["steps"], first["policy"]) == (0, 32, 0, "r0-s0")
    assert "the policy is unchanged" in shown
    after, before = weights(folder / "checkpoints" / "round-001"), weights(POLICY)
    assert after.keys() >= before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.engine
def test_osp_judges_itself_and_learns_from_graded_pairs(tmp_path: Path) -> None:
    summary, folder, _ = run(tmp_path, "experiment=osp_smoke", "prompts.per_round=32")
    (first,) = summary["rounds"]
    assert first["judgements"] == 32 * 2 * 3 and first["failed_judgements"] <= 0.2 * first["judgements"]
    assert first["examples"] > 0 and first["steps"] > 0
    strengths = [row["strength"] for row in Ledger(folder / "ledger").read("examples").to_pylist()]
    assert all(0.5 < s < 1.0 for s in strengths) and len({round(s, 4) for s in strengths}) > 10
    judges = {row["judge"] for row in Ledger(folder / "ledger").read("judgements").to_pylist()}
    assert len(judges) == 1 and judges.pop().startswith("self-r0-s0-")

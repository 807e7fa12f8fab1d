"""Judges at a real server, vLLM's own, behind a proxy that does what networks do."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import pytest
import ray

from actors.fleet import Fleet
from actors.judge import CheckRequest
from actors.judges.building import build_judge
from actors.starting import limits_of, start_judges
from loop.composition import CONF, compose
from loop.config import RunConfig
from loop.errors import Refused
from loop.judge_study.asking import Manner, questions
from loop.judge_study.cases import read_cases
from loop.judges.calibration import pairs_for, shortfalls
from loop.judges.check_rows import report_of
from loop.judges.judge import Judge
from loop.ledger import Ledger
from loop.records import CheckRow, ShardRef
from loop.shards import read_shard
from loop.task import Task
from loop.validation import validate
from tests.actors.model_server import MODEL, ModelServer, model_server
from tests.loop.judges.remote.faults import FaultyProxy, FirstAttempts, MostQuestions

pytestmark = pytest.mark.engine

RATCHET = Path(sys.executable).with_name("ratchet")
KEY, KEY_VARIABLE = "sk-only-for-these-tests", "RATCHET_TEST_JUDGE_KEY"
PATIENCE_S = 400
QUESTIONS = 120
CONCURRENCY = 6
FAULTS = ("429:1", "ok", "500", "ok", "cut", "invalid_json", "ok", "empty_choices", "half", "no_logprobs")


@pytest.fixture(scope="module")
def starting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """The server, not ready yet: what needs none runs meanwhile."""
    with model_server(tmp_path_factory.mktemp("server"), KEY) as server:
        yield server


@pytest.fixture(scope="module")
def upstream(starting: ModelServer) -> str:
    """The URL of the server, which answers."""
    starting.wait()
    return starting.url


@pytest.fixture(autouse=True, scope="module")
def key() -> Iterator[None]:
    """In the environment before Ray is started: its processes inherit that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        yield


def at_server(url: str, cache: Path, *overrides: str) -> list[str]:
    """Overrides for a judge at a server, most of them in the order of what a user has to say."""
    return [
        "experiment=osp_smoke",
        "gate=off",
        "judge=llm",
        "judge.backend=server",
        f"judge.model={MODEL}",
        f"judge.server.url={url}",
        "judge.server.vllm=true",
        f"judge.server.key_variable={KEY_VARIABLE}",
        f"judge.server.cache={cache}",
        f"judge.server.concurrency={CONCURRENCY}",
        *overrides,
    ]


def judge(*overrides: str) -> Judge:
    config = validate(compose(overrides))
    return build_judge(config, config.judge)


def ratchet(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """`ratchet run` of one small round in this folder."""
    held_out = folder / "held_out.jsonl"
    lines = (CONF / "demo" / "prompts" / "held_out.jsonl").read_text().splitlines(keepends=True)
    held_out.write_text("".join(lines[:64]))
    small = [
        f"prompts.held_out=[{{path: {held_out}}}]",
        "evaluate.samples=1",
        "learner.ranks=1",
        f"folder={folder}/run",
    ]
    command = [str(RATCHET), "run", "--json", *overrides, *small, "prompts.per_round=8"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence with which a run ended, which has to be one."""
    said = [line for line in done.stderr.splitlines() if line.startswith("ratchet: ")]
    assert len(said) == 1 and done.stderr.splitlines()[-1] == said[0] and "Traceback" not in done.stderr, done.stderr
    return said[0]


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    return Ledger(folder / "run" / "ledger").read(table).to_pylist()


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory, starting: ModelServer) -> tuple[Path, str, list[str], str]:
    """A run whose server was not there, while the real one was starting: its folder, the URL, its overrides, and how
    it ended."""
    folder = tmp_path_factory.mktemp("outage")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    overrides = at_server(gone, folder / "cache", "judge.check.prompts=8")
    done = ratchet(folder, *overrides, "judge.server.attempts=1")
    return folder, gone, overrides, f"{done.returncode} {last_words(done)}"


def test_a_run_without_its_server_ends_with_a_sentence_and_holds_nothing_against_the_judge(
    outage: tuple[Path, str, list[str], str],
) -> None:
    folder, gone, _, ended = outage
    address = gone.removeprefix("http://").removesuffix("/v1")
    assert ended.startswith("4 ratchet: judging: ")
    assert f"the server {address} does not answer" in ended and "start it, or check judge.server.url" in ended
    assert not rows(folder, "judge_checks") and not rows(folder, "judgements")


def test_every_question_is_answered_through_all_faults_as_the_judge_at_hand_would(
    upstream: str, tmp_path: Path
) -> None:
    cases = read_cases(str(CONF / "demo" / "preferences.jsonl"))
    asked = questions(cases, Manner(pairwise=True, certain=False))[:QUESTIONS]
    local = judge("experiment=osp_smoke", "judge=llm", "judge.backend=transformers").answer(asked, "r0-s0")
    faults = ["slow"] * 3 + [*FAULTS] * 4
    with FaultyProxy(upstream, iter(())) as server, FirstAttempts(server.url, iter(faults)) as proxy:
        remote = judge(*at_server(proxy.url, tmp_path / "cache", "judge.server.timeout_s=6"))
        replies = remote.answer(asked, "r0-s0")
        sent, used = len(proxy.bodies), remote.usage()
        again = judge(*at_server(proxy.url, tmp_path / "cache"))
        remembered = again.answer(asked, "r0-s0")
        assert len(proxy.bodies) == sent, "the cache answers a second pass"
    assert [one.status for one in replies] == ["decided"] * QUESTIONS
    assert [one.value for one in replies] == pytest.approx([one.value for one in local], abs=1e-3)
    assert len({round(cast(float, one.value), 3) for one in replies}) > 20, "an order would not show"
    assert server.most_in_flight <= CONCURRENCY and {*proxy.keys} == {f"Bearer {KEY}"}
    injected = sum(fault != "ok" for fault in faults)
    different = used["requests"]
    assert 0 < injected <= used["retries"] == used["attempts"] - different and used["attempts"] == sent
    assert (used["failures"], used["cache_hits"], used["cache_lost"]) == (0, 0, 0)
    assert used["prompt_tokens"] > 10 * different and used["completion_tokens"] >= different
    assert remembered == replies and again.usage()["cache_hits"] == different and again.usage()["attempts"] == 0


def test_a_whole_choice_is_a_verdict_and_a_text_that_was_cut_is_none(upstream: str, tmp_path: Path) -> None:
    cases = read_cases(str(CONF / "demo" / "preferences.jsonl"))
    asked = questions(cases, Manner(pairwise=True, certain=False))[:20]
    overrides = at_server(upstream, tmp_path / "cache")
    chosen = judge(*overrides, "judge.read=constrained", "judge.max_tokens=4").answer(asked, "r0-s0")
    assert {(one.status, one.raw) for one in chosen} == {("decided", "A"), ("decided", "B")}
    whole = judge(*overrides, "judge.read=text", "judge.max_tokens=16").answer(asked, "r0-s0")
    assert {(one.status, one.raw) for one in whole} == {("decided", "A"), ("decided", "B")}
    cut = judge(*overrides, "judge.read=text", "judge.max_tokens=1").answer(asked, "r0-s0")
    assert {(one.status, one.raw) for one in cut} == {("failed", "A"), ("failed", "B")}


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended, and what its proxy was asked."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    proxy: FaultyProxy


@pytest.fixture(scope="module")
def runs(
    outage: tuple[Path, str, list[str], str], upstream: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ended, Ended]:
    """Two runs side by side: the one whose server was not there, behind passing faults; and one whose questions mostly
    fail, unchecked."""
    folder, gone, overrides, _ = outage
    doomed = tmp_path_factory.mktemp("doomed")
    faults = ["429:0", "ok", "500", "cut", "ok", "invalid_json", "empty_choices", "half"]
    with (
        FirstAttempts(upstream, cycle(faults)) as kind,
        MostQuestions(upstream) as unkind,
        ThreadPoolExecutor() as pool,
    ):
        again = [one.replace(gone, kind.url) for one in overrides]
        unchecked = at_server(unkind.url, doomed / "cache", "judge.server.attempts=1", "judge.check.prompts=0")
        first, second = pool.map(lambda run: ratchet(run[0], *run[1]), [(folder, again), (doomed, unchecked)])
    return Ended(folder, first, kind), Ended(doomed, second, unkind)


def test_a_run_goes_on_once_its_server_is_there_and_no_fault_of_the_network_shows_in_what_it_learns(
    runs: tuple[Ended, Ended],
) -> None:
    folder, done, proxy = runs[0].folder, runs[0].done, runs[0].proxy
    assert done.returncode == 0, done.stderr
    assert "Going on at round 1" in done.stderr
    summary = json.loads(done.stdout)
    (first,) = summary["rounds"]
    assert summary["finished"] and first["examples"] > 0 and first["steps"] > 0
    assert (first["judgements"], first["failed_judgements"]) == (8 * 6, 0)
    (event,) = [row for row in rows(folder, "telemetry") if row["event"] == "usage"]
    used = json.loads(event["detail"])
    assert (event["round"], event["phase"], event["actor"]) == (1, "judge", "judging-0")
    assert used["questions"] == first["judgements"] + len(rows(folder, "judge_checks"))
    assert used["prompt_tokens"] > used["completion_tokens"] >= used["requests"] - used["cache_hits"] > 0
    assert used["seconds"] > 0 and used["retries"] > 0 and used["failures"] == 0
    assert used["attempts"] == len(proxy.bodies) and {*proxy.keys} == {f"Bearer {KEY}"}
    written = [file for place in (folder / "run", folder / "cache") for file in place.rglob("*") if file.is_file()]
    assert len(written) > 20 and not [file for file in written if KEY.encode() in file.read_bytes()]


def test_a_round_whose_judgements_mostly_fail_stops_the_run_and_gives_them_no_value(runs: tuple[Ended, Ended]) -> None:
    folder, done = runs[1].folder, runs[1].done
    assert done.returncode == 3, done.stderr
    judgements = rows(folder, "judgements")
    by_status = {status: [row for row in judgements if row["status"] == status] for status in ("decided", "failed")}
    failed, decided = by_status["failed"], by_status["decided"]
    assert len(failed) > 0.6 * len(judgements) and decided and len(failed) + len(decided) == len(judgements) == 8 * 6
    assert all(row["value"] is None for row in failed) and all(0 <= row["value"] <= 1 for row in decided)
    assert {*json.loads(failed[0]["raw"])} <= {"server_error", "no_choices", "invalid_json"}
    assert f"{len(failed)} of {len(judgements)} judgements failed" in last_words(done)
    assert not rows(folder, "examples")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100_000_000,
    )
    yield
    ray.shutdown()


@pytest.fixture
def check(cluster: None, tmp_path: Path) -> Iterator[Callable[..., list[CheckRow]]]:
    """Has a run's judge answer its check, in a process of its own."""
    handles = []

    def rows_of(*overrides: str) -> list[CheckRow]:
        config: RunConfig = validate(compose(overrides))
        task = Task(config, "identity", tmp_path, cast(Any, None), "model", prompts_path="unread")
        handles.extend(start_judges(task, config.judge, 1))
        fleet: Fleet[CheckRequest, ShardRef] = Fleet(
            "judging", handles[-1:], limits_of(config.fleet, PATIENCE_S, PATIENCE_S)
        )
        request = CheckRequest(1, "r0-s0", tuple(pairs_for(config.judge.check, (), 0)))
        (ref,) = fleet.map(lambda judge, one: judge.check.remote(one), [request])
        return read_shard(ref, CheckRow)

    yield rows_of
    for handle in handles:
        ray.kill(handle)


def test_a_wrong_key_is_refused_with_the_variable_that_holds_it(
    upstream: str, check: Callable[..., list[CheckRow]], tmp_path: Path
) -> None:
    overrides = at_server(upstream, tmp_path / "cache", "judge.server.key_variable=RATCHET_TEST_NO_KEY")
    with pytest.raises(
        Refused, match=r"answers 401; check judge.server.url .* the key in \$RATCHET_TEST_NO_KEY"
    ) as refused:
        check(*overrides)
    assert refused.value.exit_code == 2


def test_a_check_that_fails_for_its_server_says_so(
    upstream: str, check: Callable[..., list[CheckRow]], tmp_path: Path
) -> None:
    with MostQuestions(upstream) as proxy:
        told = check(*at_server(proxy.url, tmp_path / "cache", "judge.server.attempts=1", "judge.check.prompts=8"))
    failed = [row for row in told if row.status == "failed"]
    assert len(failed) > 0.6 * len(told) and all(row.value is None for row in failed)
    short = shortfalls(report_of(told), {"gold": 0.6})
    assert len(short) == 2 and short[1].startswith(f"{len(failed)} of {len(told)} judgements failed")

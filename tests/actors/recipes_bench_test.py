"""`ratchet bench recipes` around its runs: what is refused, how runs that fail are told, what is counted and kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from actors.bench import recipes
from actors.bench.recipes import Shared, configured, measured, samples_in
from actors.main import main
from loop.bench_recipes_plan import BUDGET
from loop.config import RunConfig
from loop.errors import RatchetError, Refused, Stopped
from loop.ledger import Ledger
from loop.samplers.wanted import NOT_SAMPLED
from loop.summary import RoundSummary, RunSummary
from loop.view.plain import PlainView
from tests.loop.factories import response


class Stub(Shared):
    """Runs nothing: a summary, or the error that a recipe is to end with."""

    def __init__(self, errors: dict[str, RatchetError] | None = None) -> None:
        self.errors = errors or {}
        self.ran: list[tuple[str, int]] = []

    def start(self, config: RunConfig) -> None:
        """No processes."""

    def run(self, config: RunConfig) -> RunSummary:
        """A run that improves the policy a little."""
        self.ran.append((config.algorithm.name, config.seed))
        if (error := self.errors.get(config.algorithm.name)) is not None:
            raise error
        assert config.folder is not None
        (Path(config.folder) / "ledger").mkdir(parents=True)
        rounds = [RoundSummary(1, "r1-s1", gold_score=0.5, prompts=8, responses=64, examples=8, steps=1)]
        initial = RoundSummary(0, "r0-s0", gold_score=0.4)
        return RunSummary(
            "run", "id", "bench", "a", "verifier", "tiny", 0, True, initial, rounds, 7.0, prompts={"test": 512}
        )


def test_a_run_has_the_recipes_own_settings_and_the_budgets_prompts(tmp_path: Path) -> None:
    config = configured("egpo", 3, tmp_path / "run")
    assert (config.algorithm.name, config.seed, config.rounds, config.evaluate.every) == ("egpo", 3, 4, 4)
    assert config.prompts.per_round == round(BUDGET / (4 * (config.algorithm.k + 1)))
    assert config.folder == str(tmp_path / "run")


def test_runs_follow_the_order_and_a_failed_one_does_not_end_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub = Stub({"simper": Stopped("too much noise")})
    order = [("iterative_dpo", 0), ("simper", 0), ("iterative_dpo", 1), ("nothing", 1)]
    found = measured(order, stub, tmp_path, keep=True)
    assert stub.ran == order[:3]
    assert [(one.recipe, one.seed, one.status) for one in found] == [
        ("iterative_dpo", 0, 0),
        ("simper", 0, 3),
        ("iterative_dpo", 1, 0),
        ("nothing", 1, 2),
    ]
    assert found[1].sentence == "too much noise" and found[1].judge == "verifier"
    assert found[3].sentence is not None and "nothing" in found[3].sentence
    told = capsys.readouterr().err.splitlines()
    assert (
        told[0] == "seed 0  iterative_dpo  40.0% -> 50.0%  7.0 s"
        and told[1] == "seed 0  simper  stopped: too much noise"
    )


@pytest.mark.parametrize("keep", [True, False])
def test_runs_are_kept_only_in_a_folder_of_ones_own(tmp_path: Path, keep: bool) -> None:
    measured([("iterative_dpo", 0)], Stub(), tmp_path, keep=keep)
    assert (tmp_path / "iterative_dpo-0").exists() is keep


def test_each_sample_counts_once_and_given_text_never(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.claim()
    sampled = [replace(response(k), seed=k, sampling='{"temperature": 1.0}') for k in range(3)]
    member = replace(sampled[0], response_id="member", purpose="opponent")
    given = replace(response(9), seed=99, policy="data:completion", sampling=NOT_SAMPLED)
    for table, rows in (("drafts", sampled[:2]), ("responses", [member, sampled[2], given])):
        ledger.append(table, 1, rows)
    assert samples_in(ledger) == 3


def test_nothing_is_run_for_names_seeds_or_files_that_make_no_sense(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "Shared", None)
    assert main(["bench", "recipes", "--recipes", "iterative_dpo,ospp"]) == 2
    assert "there is no recipe 'ospp'; did you mean osp" in capsys.readouterr().err
    assert main(["bench", "recipes", "--seeds", "0,x"]) == 2
    assert "--seeds: 'x' is not a whole number" in capsys.readouterr().err
    assert main(["bench", "recipes", "--plot", "recipes.txt"]) == 2
    assert "must end in .svg or .png" in capsys.readouterr().err


def test_the_command_prints_the_table_draws_and_ends_with_the_first_failures_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Quiet(Stub):
        def __init__(self, view: PlainView) -> None:
            super().__init__({"simper": Refused("simper: no")})

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(recipes, "Shared", Quiet)
    asked = ["bench", "recipes", "--recipes", "iterative_dpo,simper", "--seeds", "0,1"]
    assert main([*asked, "--plot", str(tmp_path / "a.svg")]) == 2
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].startswith("iterative_dpo  verifier") and shown[3] == "  refused: simper: no"
    assert (tmp_path / "a.svg").is_file()
    assert main([*asked[:3], "iterative_dpo", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [run["seed"] for run in figures["runs"]] == [0, 1, 2] and figures["budget"] == BUDGET

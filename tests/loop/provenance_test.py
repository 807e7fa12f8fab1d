"""Who gave an example's answers, and after what."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from loop.provenance import inspect_example
from loop.view.example_lines import example_lines
from loop.view.text import plain
from tests.loop.factories import pair_example
from tests.loop.run_folders import answer, ran


def test_an_answer_leads_back_to_what_it_revises_and_a_given_one_to_its_column(tmp_path: Path) -> None:
    rows = ran(tmp_path / "run")
    draft = dataclasses.replace(answer("d1", 0, "fuor"), purpose="node")
    again = dataclasses.replace(answer("d2", 1, "foour", policy="r0-s0"), purpose="node", parent="d1")
    own = dataclasses.replace(answer("f1", 0, "four"), parent="d2")
    given = dataclasses.replace(
        answer("f2", 0, "five", policy="data:rejected"), purpose="rejected", logprobs_T=[], sampling="{}"
    )
    rows.add("drafts", 2, [draft])
    rows.add("responses", 2, [again, own, given], shard=1)
    rows.add("examples", 2, [pair_example("e3", "f1", "f2", round=2, prompt_id="p0")], shard=1)
    chosen, rejected = inspect_example(tmp_path / "run", "e3").responses
    assert [(one.response_id, one.purpose, one.policy, one.text) for one in chosen.parents] == [
        ("d2", "node", "r0-s0", "foour"),
        ("d1", "node", "r1-s4", "fuor"),
    ]
    assert (rejected.policy, rejected.purpose, rejected.logprob, rejected.parents) == (
        "data:rejected",
        "rejected",
        None,
        (),
    )
    told = "\n".join(plain(line) for line in example_lines(inspect_example(tmp_path / "run", "e3"), 100))
    assert "the prompts' column rejected" in told and "after d2, node of r0-s0" in told

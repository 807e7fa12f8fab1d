"""What a request makes of a group: scores, draws, others, mixtures, order and sums."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from loop.errors import Refused
from loop.records import Prompt, Response, ShardRef, digest_of, seed_of
from loop.samplers import STRATEGIES, Draw, Strategy, named_strategy
from loop.samplers.grouping import (
    Begun,
    Others,
    begun,
    ordered,
    others,
    proposed,
    require_distinct,
    statistics,
)
from loop.samplers.mixing import chosen
from loop.samplers.wanted import NOT_SAMPLED
from loop.sampling import GenerateRequest, Mixture, Sampling
from tests.loop.factories import judgement, response

PROMPT = Prompt("p", "[]", [1, 2], "42", "file", chosen="good", rejected="", teacher=None)
REQUEST = GenerateRequest(
    identity="run",
    store="store",
    table="responses",
    round=3,
    shard=0,
    purpose="evaluate",
    policy="r2-s8",
    prompts_path="prompts",
    prompt_ids=("p",),
    k=2,
    sampling=Sampling(1.0, 1.0, 0, 0, 8, ()),
)
WEIGHTS = ShardRef("draft_anchors", 3, 0, "weights", 4, "digest", {})


def row(purpose: str, k: int, logprob: float = -1.0, prompt_id: str = "p") -> Response:
    one = response(k, prompt_id=prompt_id, id=f"{purpose}{k}")
    return replace(one, purpose=purpose, policy="r2-s8", round=3, logprobs_T=[logprob / 2] * 2, tokens_T=[5, 6])


def group(*rows: Response) -> Begun:
    return Begun(PROMPT, rows, {})


def test_a_score_is_the_mean_of_the_judgements_of_a_response_alone_that_did_not_fail() -> None:
    rows = [row("node", k) for k in range(4)] + [row("node", 9, prompt_id="q"), row("node", 8, prompt_id="other")]
    said = [
        judgement(["node0"], 1.0),
        judgement(["node0"], 4.0, sample=1),
        judgement(["node0"], None, "failed", 2),
        judgement(["node1"], 0.5, "undecided"),
        judgement(["node2", "node1"], 1.0),
        judgement(["node3"], -math.inf),
        judgement(["node9"], 7.0),
    ]
    first, second = begun([PROMPT, replace(PROMPT, prompt_id="q")], rows, said)
    assert first.beside == tuple(rows[:4])
    assert first.values == {"node0": 2.5, "node1": 0.5, "node2": None, "node3": -math.inf}
    assert (second.beside, second.values) == ((rows[4],), {"node9": 7.0})


def test_rows_keep_the_order_in_which_they_came() -> None:
    rows = [row("node", 3), row("train", 0), row("node", 1)]
    assert begun([PROMPT], rows, [])[0].beside == tuple(rows)


def test_samples_are_for_what_the_request_says_and_numbered_on() -> None:
    assert proposed(REQUEST, group()) == [Draw(purpose="evaluate", number=number) for number in range(2)]
    draws = proposed(replace(REQUEST, purpose="draw", options={"first": 5}), group())
    assert draws == [Draw(purpose="draw", number=number) for number in (5, 6)]
    with pytest.raises(Refused, match="sampler samples has no option 'first'"):
        named_strategy("samples", {"first": 5})


def test_a_strategy_sees_the_group_its_scores_its_options_and_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def propose(*given: object) -> list[Draw]:
        seen.append(given)
        return [Draw(purpose="node", number=9)]

    strategy = Strategy(name="odd", source="here", propose=propose, options={"depth": 3, "width": 2})  # type: ignore[arg-type]
    monkeypatch.setitem(STRATEGIES, "odd", strategy)
    one = Begun(PROMPT, (row("node", 0),), {"node0": 0.5})
    assert proposed(replace(REQUEST, strategy="odd", options={"width": 4}, step=6), one) == [
        Draw(purpose="node", number=9)
    ]
    prompt, its, values, options, step, k = seen[0]
    assert (prompt, values, options, step, k) == (PROMPT, {"node0": 0.5}, {"depth": 3, "width": 4}, 6, 2)
    assert its.responses_K == one.beside and its.prompt_id == "p"  # type: ignore[attr-defined]


def test_draws_for_mixtures_are_no_part_of_a_group() -> None:
    rows = row("opponent", 0), row("draw", 0), row("node", 1)
    assert others(REQUEST, group(*rows), {}) == Others((rows[0], rows[2]))


def test_given_texts_are_numbered_behind_others_of_their_purpose() -> None:
    asked = replace(REQUEST, given=(("chosen", "opponent"), ("answer", "chosen"), ("rejected", "opponent")))
    found = others(asked, group(row("opponent", 0), row("opponent", 3)), {})
    assert found.given == (
        ("chosen", Draw(purpose="opponent", number=4, text="good")),
        ("answer", Draw(purpose="chosen", number=0, text="42")),
        ("rejected", Draw(purpose="opponent", number=5, text="")),
    )


def test_a_prompt_without_its_text_is_refused() -> None:
    with pytest.raises(Refused, match=r"prompt p of file has no `teacher`, which algorithm\.others asks for"):
        others(replace(REQUEST, given=(("teacher", "teacher"),)), group(), {})


def mixture(k: int, first: int = 0, draws: int = 3) -> Mixture:
    return Mixture("opponent", k, first, draws, 0.5, "r0-s0", (WEIGHTS,))


DRAWS = [row("draw", k, logprob) for k, logprob in enumerate((-4.0, -6.0, -2.0, -8.0, -3.0))]
SUMS = {"r0-s0": {"draw0": -5.0, "draw1": -1.0, "draw2": -9.0, "draw3": -2.0, "draw4": -2.5}}


def test_a_mixtures_draws_are_chosen_by_their_log_probs_and_keep_all_but_their_names() -> None:
    found = others(replace(REQUEST, mixtures=(mixture(4, first=1),)), group(row("opponent", 0), *DRAWS), SUMS)
    seed = seed_of("run", 3, "p", "mixture", 1)
    expected = chosen([-1.0, -9.0, -2.0], [-6.0, -2.0, -8.0], 0.5, 4, seed)
    assert found.effective == expected.effective
    assert found.rows == (
        row("opponent", 0),
        *(
            replace(
                DRAWS[1 + position],
                purpose="opponent",
                k=number,
                response_id=digest_of("run", 3, "opponent", "r2-s8", "p", number),
            )
            for number, position in enumerate(expected.positions, start=1)
        ),
    )


def test_mixtures_of_one_group_are_numbered_on_and_chosen_apart() -> None:
    asked = replace(REQUEST, mixtures=(mixture(20), replace(mixture(20), first=3, draws=2)))
    found = others(asked, group(*DRAWS), SUMS)
    assert [one.k for one in found.rows] == list(range(40))
    texts = [one.logprobs_T[0] * 2 for one in found.rows]
    assert set(texts[:20]) <= {-4.0, -6.0, -2.0} and set(texts[20:]) <= {-8.0, -3.0}
    sizes = [others(replace(REQUEST, mixtures=(one,)), group(*DRAWS), SUMS).effective for one in asked.mixtures]
    assert found.effective == sum(sizes) > 2
    given = replace(asked, given=(("chosen", "opponent"),))
    assert others(given, group(*DRAWS), SUMS).given[0][1].number == 40


def test_prompts_choose_apart() -> None:
    asked = replace(REQUEST, mixtures=(mixture(20),))
    even = {"r0-s0": {one.response_id: sum(one.logprobs_T) for one in DRAWS}}
    here, there = (
        [one.logprobs_T for one in others(asked, Begun(replace(PROMPT, prompt_id=name), tuple(DRAWS), {}), even).rows]
        for name in ("p", "q")
    )
    assert here != there


def test_a_mixture_with_the_policy_that_drew_chooses_evenly() -> None:
    even = replace(mixture(1), weights=(), weight=0.9)
    assert others(replace(REQUEST, mixtures=(even,)), group(*DRAWS), {}).effective == pytest.approx(3)


def test_draws_without_log_probs_are_refused() -> None:
    with pytest.raises(Refused, match="response draw1 has no log-probs under policy r0-s0 in any shard"):
        others(replace(REQUEST, mixtures=(mixture(1),)), group(*DRAWS), {"r0-s0": {"draw0": -1.0, "draw2": -1.0}})


def test_rows_stand_by_prompt_then_purpose_then_number() -> None:
    groups = [group(), Begun(replace(PROMPT, prompt_id="a"), (), {})]
    rows = [
        row("train", 0, prompt_id="a"),
        row("node", 0),
        row("opponent", 1),
        row("train", 1),
        row("opponent", 0),
        row("chosen", 0),
        row("train", 0),
    ]
    assert [(one.prompt_id, one.purpose, one.k) for one in ordered(groups, rows)] == [
        ("p", "train", 0),
        ("p", "train", 1),
        ("p", "opponent", 0),
        ("p", "opponent", 1),
        ("p", "chosen", 0),
        ("p", "node", 0),
        ("a", "train", 0),
    ]


def test_no_two_responses_of_a_group_may_share_purpose_and_number() -> None:
    require_distinct("tree", [row("node", 0), row("node", 1), row("train", 0), row("node", 0, prompt_id="q")])
    with pytest.raises(ValueError, match="2 responses of strategy tree to prompt p are node 1"):
        require_distinct("tree", [row("node", 0), row("node", 1), row("node", 1)])


def test_sums_are_over_what_the_requests_policy_sampled() -> None:
    rows = [
        row("train", 0),
        replace(row("train", 1), finish_reason="length", logprobs_T=[], tokens_T=[5] * 3),
        replace(row("opponent", 0), policy="r0-s0", finish_reason="length"),
        replace(row("chosen", 0), policy="data:chosen", sampling=NOT_SAMPLED),
        replace(row("revision", 0), logprobs_T=[], sampling=NOT_SAMPLED),
    ]
    rows[:3] = [replace(one, sampling='{"top_k": 0}') for one in rows[:3]]
    assert statistics(REQUEST, 1, rows) == {
        "prompts": 1.0,
        "responses": 5.0,
        "sampled": 2.0,
        "tokens": 5.0,
        "truncated": 1.0,
        "logprob": -1.0,
    }

"""Flat batches, which loss an example fits, and the two renderings."""

from __future__ import annotations

import numpy as np
import pytest

from loop.batches import Member, TokenSequence, example_batch, packed, padded, require_fit, sequence_of
from loop.errors import Refused
from loop.losses import Needs
from tests.loop.batches.rows import ROWS, SEQUENCES
from tests.loop.factories import list_example, pair_example


def test_a_shared_response_is_stored_once() -> None:
    examples = [pair_example("x", "a", "b", 0.75, margin=2.0), list_example("y", ["c", "a"], [0.5, 1.0], weight=2.0)]
    batch = example_batch(examples, SEQUENCES)
    assert batch.tokens_T.tolist() == [1, 2, 3, 4, 5, 1, 2, 6, 7, 8, 9]
    assert batch.segments_T.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert batch.response_T.int().tolist() == [0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1]
    assert batch.loss_mask_T.int().tolist() == [0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0]
    assert batch.anchors_AT.tolist() == [
        [0, 0, -0.5, -1, -1.5, 0, 0, -0.5, 0, -0.5, -1],
        [0, 0, -10, -10, -10, 0, 0, -10, 0, -10, -10],
    ]
    assert batch.members_N == (
        (Member(0, "chosen", None), Member(1, "rejected", None)),
        (Member(2, "item", 0.5), Member(0, "item", 1.0)),
    )
    assert (batch.strength_N.tolist(), batch.margin_N.tolist()) == ([0.75, 1.0], [2.0, 0.0])
    assert (batch.weight_N.tolist(), batch.example_ids) == ([1.0, 2.0], ("x", "y"))


def test_padding_is_on_the_right_and_reads_back_in_flat_order() -> None:
    batch = example_batch([pair_example("x", "b", "a")], SEQUENCES)
    ids_BL, attention_BL, response_BL, positions_BL = padded(batch)
    assert attention_BL is not None and positions_BL is None
    assert ids_BL.tolist() == [[1, 2, 6, 0, 0], [1, 2, 3, 4, 5]]
    assert attention_BL.int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert ids_BL[attention_BL].tolist() == batch.tokens_T.tolist()
    assert ids_BL[response_BL].tolist() == batch.tokens_T[batch.response_T].tolist()


def test_packing_counts_positions_anew_in_every_sequence() -> None:
    ids_BL, attention_BL, response_BL, positions_BL = packed(example_batch([pair_example("x", "b", "a")], SEQUENCES))
    assert attention_BL is None and positions_BL is not None
    assert ids_BL.tolist() == [[1, 2, 6, 1, 2, 3, 4, 5]]
    assert positions_BL.tolist() == [[0, 1, 2, 0, 1, 2, 3, 4]]
    assert response_BL.int().tolist() == [[0, 0, 1, 0, 0, 1, 1, 1]]


def test_a_batch_without_examples_is_empty() -> None:
    batch = example_batch([], {})
    assert padded(batch).ids_BL.shape == (0, 0)
    assert packed(batch).ids_BL.shape == (1, 0)


def test_anchors_are_the_given_log_probs_or_the_samplers_own() -> None:
    anchor_R = [-9.0, -8.0, -7.0]
    assert sequence_of(ROWS[0], [anchor_R, None]).anchors_AR.tolist() == [anchor_R, [-0.5, -1.0, -1.5]]
    assert sequence_of(ROWS[0]).anchors_AR.shape == (0, 3)
    with pytest.raises(Refused, match="has 1 tokens, but 3 anchor"):
        sequence_of(ROWS[1], [None, anchor_R])


def test_token_sequence_knows_its_prompt() -> None:
    sequence = TokenSequence(np.arange(5, dtype=np.int32), np.ones(2, np.bool_), np.zeros((0, 2), np.float32))
    assert sequence.prompt_length == 3


PAIR = ["chosen", "rejected"]


@pytest.mark.parametrize(
    ("kind", "needs", "roles", "labelled", "wrong"),
    [
        ("pair", Needs(), PAIR, False, None),
        ("pair", Needs(), ["rejected", "explored", "chosen"], False, None),
        ("pair", Needs(), ["item", "item"], True, "has no response in the role 'chosen', .* needs exactly one"),
        ("pair", Needs(), [*PAIR, "rejected"], False, "has 2 responses in the role 'rejected', .* exactly one"),
        ("pair", Needs(others=("explored",)), PAIR, False, "has no response in the role 'explored'"),
        ("pair", Needs(labels="win_rate"), PAIR, False, "example x has no labels, which the loss reads"),
        ("list", Needs(), ["item"], True, None),
        ("list", Needs(), ["item", "item"], False, "has no labels"),
        ("list", Needs(), PAIR, True, "no response in the role 'item', .* needs at least one"),
        ("single", Needs(), ["response"], False, None),
        ("single", Needs(others=("mismatched",)), ["response"], True, "no response in the role 'mismatched'"),
        ("single", Needs(), ["response", "response"], True, "2 responses in the role 'response'"),
    ],
)
def test_an_example_fits_a_loss_by_roles_and_labels(
    kind: str, needs: Needs, roles: list[str], labelled: bool, wrong: str | None
) -> None:
    if wrong is None:
        require_fit("x", roles, labelled, kind, needs)  # type: ignore[arg-type]
        return
    with pytest.raises(Refused, match=wrong):
        require_fit("x", roles, labelled, kind, needs)  # type: ignore[arg-type]

"""A probe of the learner after a learn phase: a few of the round's examples and of the policy's own answers are passed
through the present weights. All ranks do it together, each its share; what it comes to is a handful of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from actors.head_gradient import HeadTokens, squares
from actors.learner_contract import LearnerSettings
from actors.learner_engine import Engine, from_all_ranks
from actors.learner_lesson import LogProbs, known_under
from actors.learner_scoring import text_sequence
from loop.anchors import Resolved
from loop.batches import Size, flat_batch, padded, plan, sequence_of
from loop.diagnostics.choosing import choose, rows_of
from loop.diagnostics.figures import entanglement, kl_tokens
from loop.diagnostics.probe import Sums, of_answers, of_pairs, of_samples
from loop.fleets import Lesson
from loop.recipe import anchors_of, loss_of
from loop.records import AnchorLogProbs, Response, ShardRef

READ = 4
"""Columns before the hidden units in what the policy gives when it is probed."""


def probe(
    engine: Engine,
    settings: LearnerSettings,
    rank: int,
    world: int,
    lesson: Lesson,
    answers: Sequence[ShardRef],
    most: int,
) -> dict[str, float]:
    """Figures by name, the same on every rank; see `loop.diagnostics.probe`. `lesson` is what the round learnt from (of
    round 0 an empty one), `answers` hold what the present policy answered to held-out prompts, `most` is the number of
    examples. Gradients are those of the LM head's matrix; there are none where logits are changed behind the head."""
    chosen = choose(lesson, answers, most)
    rows = [*chosen.responses, *chosen.answers]
    under = _Anchors(settings, lesson, {row.response_id for row in chosen.responses})
    of_sides = Counter(one.chosen for one in chosen.pairs), Counter(one.rejected for one in chosen.pairs)
    here: dict[str, Sums] = {}
    tokens: list[HeadTokens] = []
    for row, read_RX, targets_R in _read(engine, settings, rank, world, rows):
        learnt_R = torch.tensor(row.loss_mask_T, device=read_RX.device)
        here[row.response_id] = under.sums(row, read_RX[:, :READ].double().cpu().numpy())
        weights = of_sides[0][row.response_id], of_sides[1][row.response_id]
        if any(weights):
            tokens.append(HeadTokens(read_RX[learnt_R, READ:], targets_R[learnt_R], read_RX[learnt_R, 3], weights))
    read = {one: sums for part in from_all_ranks(here) for one, sums in part.items()}
    beta = loss_of(settings.algorithm).options.get("beta")
    told = of_pairs(chosen.pairs, read, beta) | of_samples([read[one] for one in chosen.samples if one in read])
    told |= of_answers([read[row.response_id] for row in chosen.answers])
    if chosen.pairs and engine.module.head is not None:
        ratio, cosine = entanglement(*squares(engine, engine.module.head, tokens))
        told |= {"entanglement": ratio, "gradient_cosine": cosine} if np.isfinite(ratio) else {}
    return told


class _Anchors:
    """What other policies say of the probe's responses: the one with which the round began, and the loss's anchors."""

    def __init__(self, settings: LearnerSettings, lesson: Lesson, wanted: set[str]) -> None:
        self.start = Resolved((str(lesson.policy),), (1.0,))
        self.logprobs: LogProbs = {
            (row.policy, row.response_id): np.asarray(row.logprobs_T, np.float32)
            for row in rows_of(lesson.anchors, AnchorLogProbs, wanted)
        }
        kinds = [kind for kind, _ in anchors_of(settings.algorithm)]
        self.serving = list(zip(kinds, lesson.serving, strict=True)) if lesson.serving else []

    def sums(self, row: Response, read_R4: np.ndarray) -> Sums:
        """A response's sums from what was read at each of its tokens."""
        learnt = np.asarray(row.loss_mask_T, np.bool_)
        now, entropy, mass = read_R4[learnt, :3].T
        sampler = np.asarray(row.logprobs_T, np.float64)[learnt] if row.logprobs_T else None
        if row.purpose == "evaluate":
            gap = None if sampler is None else float(np.abs(now - sampler).sum())
            return Sums(len(now), float(now.sum()), entropy=float(entropy.sum()), mass=float(mass.sum()), gap=gap)
        before = self._under(self.start, row, learnt)
        anchors = {kind: self._under(anchor, row, learnt) for kind, anchor in self.serving}
        reference = next(iter(anchors.values()), before)
        kl = {
            kind: float(kl_tokens(now, anchor, sampler).sum())
            for kind, anchor in {"previous": before, **anchors}.items()
            if anchor is not None and sampler is not None
        }
        return Sums(len(now), float(now.sum()), _sum(before), _sum(reference), kl=kl)

    def _under(self, anchor: Resolved, row: Response, learnt: np.ndarray) -> np.ndarray | None:
        found = known_under(anchor, row, self.logprobs)
        return None if found is None else found.astype(np.float64)[learnt]


def _sum(values: np.ndarray | None) -> float | None:
    return None if values is None else float(values.sum())


def _read(
    engine: Engine, settings: LearnerSettings, rank: int, world: int, rows: Sequence[Response]
) -> Iterator[tuple[Response, Tensor, Tensor]]:
    """This rank's share of the responses, each with what the policy gives when it is probed, `[R, 4 + D]`, and its
    tokens, `[R]`. All ranks make the same number of passes."""
    sequences = [sequence_of(row) for row in rows]
    sizes = [Size(len(sequence.tokens_T), 1) for sequence in sequences]
    for step in plan(sizes, world, max(len(sizes), 1), settings.learner.micro_batch_tokens, epochs=1, seed=0):
        for micro_batch in step.ranks[rank]:
            batch = flat_batch([sequences[index] for index in micro_batch] or [text_sequence([0, 0])])
            with torch.no_grad():
                read_RX = engine.forward(*padded(batch), probing=True)
            lengths = [len(sequences[index].loss_mask_R) for index in micro_batch]
            for index, piece in zip(micro_batch, torch.split(read_RX, lengths or [1]), strict=bool(micro_batch)):
                yield rows[index], piece, torch.tensor(rows[index].tokens_T, device=piece.device)

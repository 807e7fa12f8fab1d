"""The judge's check as rows, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from loop.judges.calibration import CheckReport, report
from loop.judges.calibration_pairs import IDENTICAL, CalibrationPair
from loop.judges.judge import Asked, Reply
from loop.records import CheckRow, Status


def check_rows(
    round: int, pairs: Sequence[CalibrationPair], asked: Sequence[Asked], replies: Sequence[Reply], judge: str
) -> list[CheckRow]:
    """One row per question of `loop.judges.calibration.questions`, in its order: the better response first, then
    second."""
    return [
        CheckRow(
            round=round,
            question=at,
            kind=pairs[at // 2].kind,
            prompt=json.dumps(one.conversation, ensure_ascii=False),
            first=one.texts[0],
            second=one.texts[1],
            better=None if pairs[at // 2].kind == IDENTICAL else at % 2,
            raw=reply.raw,
            status=reply.status,
            value=reply.value,
            judge=judge,
        )
        for at, (one, reply) in enumerate(zip(asked, replies, strict=True))
    ]


def report_of(rows: Sequence[CheckRow]) -> CheckReport:
    """What the rows of a check come to."""
    replies = [Reply(row.raw, cast(Status, row.status), row.value) for row in rows]
    return report([row.kind for row in rows[::2]], replies)

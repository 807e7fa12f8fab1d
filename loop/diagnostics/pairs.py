"""The two sides of an example, whatever kind it is of."""

from __future__ import annotations

from collections.abc import Sequence


def sides(response_ids: Sequence[str], roles: Sequence[str], labels: Sequence[float]) -> tuple[str, str] | None:
    """Chosen and rejected response of an example: those in these roles, or of a labelled list the items with the
    largest and the smallest label. None for a single response and for a list that prefers none."""
    if "chosen" in roles and "rejected" in roles:
        return response_ids[roles.index("chosen")], response_ids[roles.index("rejected")]
    items = [(label, one) for one, role, label in zip(response_ids, roles, labels, strict=False) if role == "item"]
    if not items or (best := max(items))[0] <= (worst := min(items))[0]:
        return None
    return best[1], worst[1]

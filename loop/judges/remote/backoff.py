"""Whether a failed request is tried again, and when. Pure functions."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime

from loop.errors import Refused
from loop.judges.remote.exchange import Failure, Kind

BASE_S = 1.0
"""Longest wait before the second attempt, in seconds; it doubles with every further one."""
CAP_S = 60.0
"""Longest wait of all, also of one that the server asks for."""

AGAIN: frozenset[Kind] = frozenset({"rate_limited", "server_error", "cut", "timeout"})
"""Another attempt may well succeed, as often as attempts are left."""
NONSENSE: frozenset[Kind] = frozenset({"invalid_json", "no_choices", "no_logprobs", "wrong_shape"})
"""The server answered, but not what was asked: one further attempt."""
ALIVE: frozenset[Kind] = frozenset({"refused", "rate_limited", "other_limit"})
"""Failures that a healthy server answers with."""
SILENT: frozenset[Kind] = frozenset({"cut", "timeout"})
"""Nothing was heard of the server."""

HOPELESS = frozenset({401, 402, 403, 404, 405})
"""Statuses that say something of key, model or URL, and so of every request."""


def of_status(status: int, server: str, model: str, key_variable: str) -> Failure:
    """The failure that a status other than success stands for. Raises: Refused where every request would meet the
    same."""
    if 300 <= status < 400 or status in HOPELESS:
        raise Refused(
            f"judge: the server {server} answers {status}; check judge.server.url (up to and including /v1), the model "
            f"{model!r} and the key in ${key_variable}"
        )
    if status == 429:
        return Failure("rate_limited", "the server takes no more requests for now (429)")
    if status in (408, 409, 425) or status >= 500:
        return Failure("server_error", f"the server answers {status}")
    return Failure("refused", f"the server refuses this request ({status})")


def may_try_again(kind: Kind, attempt: int, attempts: int, nonsense: int) -> bool:
    """Whether attempt number `attempt` (from 1), which failed in this way, has a successor; `nonsense` counts the
    attempts so far that brought nonsense."""
    return attempt < attempts and (kind in AGAIN or (kind in NONSENSE and nonsense <= 1))


def delay_s(attempt: int, chance: float, after_s: float | None) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1); `chance` is uniform in [0, 1). A wait that the
    server asks for is kept, and spread so that not all come back at once."""
    if after_s is not None:
        return min(CAP_S, after_s + chance * BASE_S)
    return chance * min(CAP_S, BASE_S * 2.0 ** min(attempt - 1, 32))


def retry_after_s(header: str | None, now: float) -> float | None:
    """Seconds that a `Retry-After` header (seconds, or an HTTP date) asks for; None for none or nonsense. `now` is in
    seconds since 1970."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - now
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None

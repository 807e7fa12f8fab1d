"""What tells two judges of one kind and model apart."""

from __future__ import annotations

from copy import deepcopy

from loop.identity import meaning
from loop.judge_config import HostedConfig
from loop.judge_files import files_of, hold_contents
from loop.records import digest_of

ASIDE = ("name", "kind", "from_round", "max_failed", "check")
"""What changes no reply."""


def settings_digest(judge: HostedConfig) -> str:
    """Eight hex digits of everything in the configuration that can change a reply; templates by their content."""
    copy = deepcopy(judge)
    hold_contents(files_of("", copy))
    return digest_of({key: value for key, value in meaning(copy).items() if key not in ASIDE})[:8]

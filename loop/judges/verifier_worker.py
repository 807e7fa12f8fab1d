"""The process in which the verifier's slow rules run: `python -m loop.judges.verifier_worker`.

Lines of JSON: the first read is the rule, its options and its limits, the first written says that it is ready or why
not; then one finding per text. The kernel ends the process when a text needs more processor time than its limit: code
in C that does not return cannot be interrupted by anything in Python. It ends when its input does.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any, TextIO

from loop.judges.verifier_checks import Check, Finding, Options, regex


def serve(lines: TextIO, out: TextIO) -> None:
    """Answer until the input ends, or until memory ran out once: what that leaves behind must not fail others."""
    first = json.loads(lines.readline())
    rule, options, seconds = str(first["rule"]), first["options"], float(first["seconds"])
    _limit(int(first["bytes"]))
    try:
        check = check_of(rule)
    except ImportError as error:
        _write(out, {"ready": False, "said": str(error)})
        return
    _write(out, {"ready": True})
    for line in lines:
        asked = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        finding, spent = _finding(check, asked["text"], asked["answer"], options)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        _write(out, {"right": finding.right, "said": finding.said, "ends": spent})
        if spent:
            return


def check_of(rule: str) -> Check:
    """A slow rule's check; its libraries are loaded here and nowhere else."""
    if rule == "math":
        from loop.judges.verifier_math import math

        return math
    if rule == "json_schema":
        from loop.judges.verifier_schema import json_schema

        return json_schema
    return regex


def _finding(check: Check, text: str, answer: str, options: Options) -> tuple[Finding, bool]:
    """The finding, and whether memory ran out. Libraries raise anything on what a model writes: none of it is a
    verdict."""
    try:
        return check(text, answer, options), False
    except MemoryError:
        return Finding(None, "needs too much memory"), True
    except Exception as error:
        return Finding(None, f"cannot be checked: {type(error).__name__}"), False


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends


def _write(out: TextIO, row: dict[str, Any]) -> None:
    out.write(json.dumps(row) + "\n")
    out.flush()


if __name__ == "__main__":
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no reply
    serve(sys.stdin, replies)

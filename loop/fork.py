"""Where a fork begins: the policy with which a round of another run ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loop.errors import Refused
from loop.exports import export_folder
from loop.finding import find_run, store_of
from loop.folder import read_mark
from loop.ledger import Ledger
from loop.query import select


@dataclass(frozen=True, slots=True)
class Parent:
    """A policy of another run: `digest` is that of its tensors, `model_path` the exported checkpoint that holds it."""

    folder: Path
    identity: str
    round: int
    version: str
    digest: str
    model_path: Path

    @property
    def label(self) -> str:
        """IDENTITY@VERSION, which says the same wherever the run's folder lies."""
        return f"{self.identity}@{self.version}"


def resolve(parent: str, runs: str) -> Parent:
    """The policy that `RUN@ROUND` names; RUN is a folder or a whole name under `runs`: what begins
    like it may be the fork itself.

    Raises: Refused when it is no such string, there is no such run, the round is not finished, or its policy was not
    exported or not kept.
    """
    run, at, number = parent.rpartition("@")
    if not (run and at and number.isascii() and number.isdigit()):
        raise Refused(f"parent={parent} is not of the form RUN@ROUND, such as demo-1a2b3c4d@3")
    folder, round = find_run(run, runs, exact=True), int(number)
    if round == 0:
        raise Refused(f"parent={parent}: round 0 is the model that {folder.name} began with; leave `parent` out")
    ledger = Ledger(store_of(folder))
    version = _version(ledger, parent, round)
    path = export_folder(folder, round)
    if not path.is_dir():
        raise Refused(
            f"parent={parent}: the policy of round {round} is not there as a checkpoint; {_kept(path.parent)}"
        )
    (row,) = select(ledger, "policies", "select digest from policies where version = ?", [version])
    return Parent(folder, read_mark(folder)["identity"], round, version, row["digest"], path)


def _version(ledger: Ledger, parent: str, round: int) -> str:
    """The label of the policy with which a round ended. Raises: Refused when it has not."""
    rows = select(ledger, "rounds", "select round, policy from rounds where round > 0 order by round")
    versions = {row["round"]: row["policy"] for row in rows}
    if round in versions:
        return str(versions[round])
    last = f"its last finished round is {max(versions)}" if versions else "it has not finished any"
    raise Refused(f"parent={parent}: that run has not finished round {round}; {last}")


def _kept(exports: Path) -> str:
    """Which rounds' policies are there."""
    rounds = sorted(int(place.name.removeprefix("round-")) for place in exports.glob("round-[0-9]*"))
    if not rounds:
        return "none of that run is"
    return f"those of rounds {', '.join(map(str, rounds))} are (export.every and export.keep decide)"

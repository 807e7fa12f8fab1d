"""Policies and slices of the ledger as Weights & Biases artifacts. By default they name files and say what is in them;
nothing large is read or sent."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loop.records import ShardRef
from loop.summary import RoundSummary

MOST_FILES = 100_000


def alias_of(round: int) -> str:
    """The alias of what a round made."""
    return f"round-{round}"


def policy_artifact(name: str, summary: RoundSummary, parent: str | None, folder: Path, upload: bool) -> Any:
    """The exported policy of a round. Its digest depends on the files' names and places, not on their content, unless
    they are uploaded. Where it came from stands in its metadata too, because only a server can link artifacts."""
    import wandb

    metadata = {
        "policy": summary.policy,
        "round": summary.round,
        "parent": parent,
        "gold_score": summary.gold_score,
        "folder": str(folder),
    }
    artifact = wandb.Artifact(name, type="model", metadata=metadata)
    if upload:
        artifact.add_dir(str(folder), policy="immutable")
    else:
        artifact.add_reference(folder.resolve().as_uri(), checksum=False, max_objects=MOST_FILES)
    return artifact


def ledger_artifact(name: str, round: int, shards: Sequence[ShardRef]) -> Any:
    """The shards that a round added to the ledger: a file `shards.json` with their handles, digests included."""
    import wandb

    rows = [dataclasses.asdict(ref) for ref in sorted(shards, key=lambda ref: (ref.table, ref.shard))]
    metadata = {"round": round, "shards": len(rows), "rows": sum(ref.rows for ref in shards)}
    artifact = wandb.Artifact(name, type="ledger", metadata=metadata)
    with artifact.new_file("shards.json") as file:
        json.dump(rows, file, indent=1)
    return artifact

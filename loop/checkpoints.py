"""The learners' checkpoints as folders: their names, the marker that makes one whole, its proof, the choice among them.

A checkpoint is `round-000003-step-000024/`: the state after 24 optimiser steps of round 3's learn phase. The marker,
`complete.json`, is written last and covers every other file. Whatever has no marker, or does not match it, is no
checkpoint. Names that start with a dot are work under way, or left over from a crash.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loop.errors import Refused
from loop.learning import LearnReport, Progress, StepOutcome
from loop.retention import kept

SCHEMA_VERSION = 1
MARKER = "complete.json"
_NAME = re.compile(r"round-(\d{6,})-step-(\d{6,})")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a checkpoint: its name, bytes and digest (sha256, hex)."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Marker:
    """What a whole checkpoint says of itself: whose it is, which layout it has, where its learner stood, its files."""

    identity: str
    world: int
    zero_stage: int
    dtype: str
    progress: Progress
    parts: tuple[Part, ...]

    @property
    def round(self) -> int:
        """The round in whose learn phase it was made."""
        return self.progress.round

    @property
    def complete(self) -> bool:
        """Whether that phase was at its end."""
        return self.progress.complete

    @property
    def name(self) -> str:
        """The folder's name."""
        return name_of(self.progress)

    def to_json(self) -> str:
        """As text; floats keep every bit."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}, indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Marker:
        """The inverse of `to_json`. Raises: ValueError for something else, Refused for another schema version."""
        read = json.loads(text)
        version = read.pop("schema_version", None) if isinstance(read, dict) else None
        if version is None:
            raise ValueError("no schema version")
        if version != SCHEMA_VERSION:
            raise Refused(
                f"a learner checkpoint has schema version {version}, this program reads {SCHEMA_VERSION}: "
                "resume with the version of ratchet that wrote it"
            )
        try:
            return Marker(
                **{
                    **read,
                    "progress": _progress(read["progress"]),
                    "parts": tuple(Part(**part) for part in read["parts"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from error


def _progress(read: dict[str, Any]) -> Progress:
    outcomes = tuple(
        StepOutcome(**{**o, "sums": tuple(o["sums"]), "bad_examples": tuple(o["bad_examples"])})
        for o in read["outcomes"]
    )
    report = read["report"]
    if report is not None:
        report = LearnReport(**{**report, "bad_examples": tuple(report["bad_examples"]), "outcomes": ()})
    return Progress(**{**read, "outcomes": outcomes, "report": report})


def name_of(progress: Progress) -> str:
    """The folder's name of a checkpoint made at `progress`."""
    return f"round-{progress.round:06d}-step-{progress.position:06d}"


def names(folder: Path) -> list[str]:
    """Folders named like checkpoints, newest first, whether whole or not."""
    if not folder.is_dir():
        return []
    found = [(match, entry.name) for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name))]
    return [name for _, name in sorted(((int(m[1]), int(m[2])), name) for m, name in found)][::-1]


def find(folder: Path) -> list[Marker]:
    """Markers of the checkpoints in a folder, newest first; their files are not looked at. What has no readable marker
    is left out. Raises: Refused for another schema version."""
    markers = (_read(folder / name) for name in names(folder))
    return [marker for marker in markers if isinstance(marker, Marker)]


def _read(path: Path) -> Marker | str:
    """A checkpoint's marker, or what is wrong with it."""
    try:
        marker = Marker.from_json((path / MARKER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "it has no marker"
    except (OSError, ValueError) as error:
        return f"its marker cannot be read ({error})"
    return marker if marker.name == path.name else f"its marker belongs to {marker.name}"


def candidate(path: Path, identity: str) -> Marker | str:
    """A checkpoint's marker after a look at the presence and size of its files, or what is wrong with it.

    Raises: Refused for a checkpoint of another identity or schema version.
    """
    marker = _read(path)
    if isinstance(marker, str):
        return marker
    if marker.identity != identity:
        raise Refused(
            f"{path} is the learner checkpoint of another run ({marker.identity[:8]}, this one is {identity[:8]})"
        )
    return misfit(path, marker.parts) or marker


def misfit(path: Path, parts: Iterable[Part]) -> str | None:
    """The first file that is missing or has another size than its marker says, as half a sentence."""
    for part in parts:
        try:
            size = (path / part.name).stat().st_size
        except OSError:
            return f"{part.name} is missing"
        if size != part.size:
            return f"{part.name} has {size} bytes instead of {part.size}"
    return None


def damage(path: Path, parts: Iterable[Part]) -> str | None:
    """The first file that is not what its marker says, down to its digest, as half a sentence."""
    for part in parts:
        if (wrong := misfit(path, [part])) is not None:
            return wrong
        try:
            same = part_of(path / part.name).sha256 == part.sha256
        except OSError as error:
            return f"{part.name} cannot be read ({error.strerror})"
        if not same:
            return f"the digest of {part.name} differs from its marker's"
    return None


def passed_over(path: Path, wrong: str) -> str:
    """The sentence about a damaged checkpoint."""
    return f"The learner checkpoint {path.name} is damaged and was passed over: {wrong}."


def verified(folder: Path, identity: str) -> tuple[Marker | None, list[str]]:
    """The newest whole checkpoint, every digest checked, and a sentence for each damaged one that is newer.

    Raises: Refused for a checkpoint of another identity or schema version.
    """
    notices: list[str] = []
    for name in names(folder):
        marker = candidate(folder / name, identity)
        wrong = marker if isinstance(marker, str) else damage(folder / name, marker.parts)
        if isinstance(marker, Marker) and wrong is None:
            return marker, notices
        notices.append(passed_over(folder / name, str(wrong)))
    return None, notices


def part_of(file: Path) -> Part:
    """A file's name, size and digest, as read from disk."""
    with open(file, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        return Part(file.name, os.fstat(handle.fileno()).st_size, digest)


def flush(path: Path) -> None:
    """Make a file, or a folder's list of entries, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def work_folder(folder: Path, name: str) -> Path:
    """Where the parts of the checkpoint `name` are written before it is whole."""
    return folder / f".{name}.tmp"


def begin(folder: Path, name: str) -> None:
    """Make an empty work folder; leftovers of crashes go."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.name.startswith(".round-"):
            shutil.rmtree(entry)
    work_folder(folder, name).mkdir()


def publish(folder: Path, marker: Marker, reached: Callable[[str], None]) -> None:
    """Turn a work folder whose parts are all durable into a checkpoint: marker, then name. `reached` is told of
    `checkpoint/marker` and `checkpoint/renamed`."""
    work, final = work_folder(folder, marker.name), folder / marker.name
    (work / MARKER).write_text(marker.to_json(), encoding="utf-8")
    flush(work / MARKER)
    flush(work)
    reached("checkpoint/marker")
    remove(folder, [marker.name])  # one that was passed over as damaged
    os.replace(work, final)
    flush(folder)
    reached("checkpoint/renamed")


def superseded(folder: Path, new: Marker, newest: int, stay: Sequence[int | None] = ()) -> list[str]:
    """Names of what can go now that the checkpoint `new` is there: all but `new`, the `newest` ends of earlier rounds
    and those of the rounds `stay`. Nothing goes as long as `new` is not whole by its marker, names and sizes."""
    whole = [marker for marker in find(folder) if misfit(folder / marker.name, marker.parts) is None]
    if new not in whole:
        return []
    ends = {m.round: m.name for m in whole if m.complete and m.round <= new.round}
    needed = kept(list(ends), newest, None, None, [round for round in stay if round is not None])
    left = {ends[round] for round in needed} | {new.name}
    return [name for name in names(folder) if name not in left]


def remove(folder: Path, gone: Iterable[str]) -> None:
    """Delete checkpoints; one whose deletion is cut short is not taken for a damaged one."""
    for name in gone:
        aside = folder / f".{name}.gone"
        if (folder / name).exists():
            os.replace(folder / name, aside)
            shutil.rmtree(aside)

"""Where bytes lie: a local folder or an object store, behind the same few calls.

Object stores are reached through deltalake's own client, so that shard files and tables share credentials and
environment variables (`AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP`, ...).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from deltalake._internal import DeltaFileSystemHandler

from loop.crash import reached
from loop.errors import StoreFailed

_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free space there"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make it readable and writable"),
    errno.EFBIG: "raise the limit on the size of files",
}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m|↳")


class Store(Protocol):
    """A folder or a prefix of an object store. Names are relative to it; a full path or URL below it will do as well.

    Raises: StoreFailed when the store refuses or cannot be reached.
    """

    root: str

    def write(self, name: str, data: bytes) -> str:
        """Write an object, whole or not at all, and durably; what had the name before is replaced. Returns its full
        path or URL."""
        ...

    def read(self, name: str) -> bytes:
        """All bytes of an object. Raises: FileNotFoundError when there is none."""
        ...

    def open(self, name: str) -> pa.NativeFile:
        """An object for random access, read piece by piece. Raises: FileNotFoundError when there is none."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""
        ...

    def list(self, folder: str = "") -> list[str]:
        """The sorted names of the objects and folders directly inside a folder; none when there is no such folder."""
        ...


def open_store(url: str | Path) -> Store:
    """The store at a local folder, a `file://` URL or the URL of an object store. Nothing is created or asked yet."""
    return _opened(str(url))


def split(path: str) -> tuple[str, str]:
    """The folder (path or URL) and the name of an object."""
    folder, _, name = path.rpartition("/")
    return folder or ".", name


def store_failed(path: str, error: Exception) -> StoreFailed:
    """What a store's refusal means for a person, whether the operating system or deltalake reported it."""
    text = " ".join(_COLOURS.sub("", str(error)).split())
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := re.search(r"\(os error (\d+)\)", text)):
        number = int(found[1])
    reason = os.strerror(number) if number else text[:300]
    advice = _ADVICE.get(number or 0, "see that it can be reached")
    return StoreFailed(f"The store refused {path} ({reason}): {advice}, then the same command goes on.")


@contextlib.contextmanager
def told_plainly(path: str) -> Iterator[None]:
    """Turns an OSError into StoreFailed, but leaves a missing file a FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise store_failed(path, error) from error


@lru_cache(maxsize=256)
def _opened(url: str) -> Store:
    if "://" not in url:
        return LocalStore(url)
    if url.startswith("file://"):
        return LocalStore(unquote(urlsplit(url).path))
    return RemoteStore(url)


class LocalStore:
    """A folder of this machine or of a shared file system."""

    def __init__(self, folder: str) -> None:
        self.root = os.path.abspath(folder)

    def write(self, name: str, data: bytes) -> str:
        """See `Store`: a temporary name in the same folder, flush, rename, flush of the folder."""
        path = Path(self.root, name)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            reached("store/write")
            _write_and_flush(temporary, data)
            os.replace(temporary, path)
            _flush_folder(path.parent)
        except BaseException as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise store_failed(str(path), error) from error
            raise
        return str(path)

    def read(self, name: str) -> bytes:
        """See `Store`."""
        path = Path(self.root, name)
        with told_plainly(str(path)):
            return path.read_bytes()

    def open(self, name: str) -> pa.NativeFile:
        """See `Store`."""
        path = str(Path(self.root, name))
        with told_plainly(path):
            return pa.OSFile(path)

    def exists(self, name: str) -> bool:
        """See `Store`."""
        path = Path(self.root, name)
        with told_plainly(str(path)):
            return path.exists()

    def list(self, folder: str = "") -> list[str]:
        """See `Store`."""
        path = Path(self.root, folder)
        with told_plainly(str(path)):
            return sorted(os.listdir(path)) if path.is_dir() else []


class RemoteStore:
    """A prefix of an object store. An object appears when its upload is complete, never in part."""

    def __init__(self, url: str) -> None:
        self.root = url.rstrip("/")
        self._client = DeltaFileSystemHandler(self.root)

    def write(self, name: str, data: bytes) -> str:
        """See `Store`."""
        url = f"{self.root}/{self._key(name)}"
        try:
            stream: Any = self._client.open_output_stream(self._key(name))
            stream.write(data)
            stream.close()
        except OSError as error:
            raise store_failed(url, error) from error
        return url

    def read(self, name: str) -> bytes:
        """See `Store`."""
        with told_plainly(f"{self.root}/{self._key(name)}"):
            source = self._client.open_input_file(self._key(name))
            return source.read(source.size())

    def open(self, name: str) -> pa.NativeFile:
        """See `Store`."""
        with told_plainly(f"{self.root}/{self._key(name)}"):
            return pa.PythonFile(self._client.open_input_file(self._key(name)), mode="r")

    def exists(self, name: str) -> bool:
        """See `Store`."""
        try:
            with told_plainly(f"{self.root}/{self._key(name)}"):
                self._client.open_input_file(self._key(name))
        except FileNotFoundError:
            return False
        return True

    def list(self, folder: str = "") -> list[str]:
        """See `Store`."""
        with told_plainly(f"{self.root}/{folder}"):
            found = self._client.get_file_info_selector(folder, True, False)
        return sorted(info.base_name for info in found)

    def _key(self, name: str) -> str:
        return name.removeprefix(f"{self.root}/")


def _write_and_flush(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loop.errors import StoreFailed
from loop.store import open_store, split


def test_what_was_written_comes_back(root: str) -> None:
    store = open_store(root)
    path = store.write("responses/000000/a", b"one")
    assert store.read("responses/000000/a") == store.read(path) == b"one"
    assert open_store(split(path)[0]).read(split(path)[1]) == b"one", "whoever has the path needs nothing else"
    store.write("responses/000000/a", b"two")
    assert store.read(path) == b"two"


def test_a_store_tells_what_it_holds(root: str) -> None:
    store = open_store(root)
    assert store.list() == store.list("responses") == []
    path = store.write("responses/000000/b", b"")
    store.write("responses/000000/a", b"1")
    assert store.list() == ["responses"]
    assert store.list("responses") == ["000000"]
    assert store.list("responses/000000") == ["a", "b"]
    assert store.exists(path) and store.exists("responses/000000/a")
    assert not store.exists("responses/000000/c")


def test_pieces_of_an_object_are_read_without_the_rest(root: str) -> None:
    store = open_store(root)
    store.write("a", bytes(range(100)))
    with store.open("a") as source:
        assert source.size() == 100
        source.seek(90)
        assert source.read(3) == bytes([90, 91, 92])


def test_a_missing_object_is_told_from_a_failing_store(root: str) -> None:
    store = open_store(root)
    with pytest.raises(FileNotFoundError):
        store.read("nothing")
    with pytest.raises(FileNotFoundError):
        store.open("nothing")


def test_a_bucket_that_is_not_there_is_a_failing_store(bucket: str) -> None:
    store = open_store("s3://another-bucket/run")
    with pytest.raises(StoreFailed, match=r"another-bucket/run/a .*see that it can be reached"):
        store.write("a", b"1")
    with pytest.raises(StoreFailed, match="404"):
        store.list()


def test_a_file_url_is_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    assert open_store(folder.as_uri()).write("x", b"1") == str(folder / "x")


def test_paths_do_not_depend_on_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("ledger").write("x", b"1") == str(tmp_path / "ledger" / "x")


def failing(number: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_nothing_behind_and_a_retry_works(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path)
    store.write("a", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.ENOSPC))
        with pytest.raises(StoreFailed, match=r"No space left on device\): free space there, then the same command"):
            store.write("a", b"new")
    assert store.list() == ["a"], "no temporary file"
    assert store.read("a") == b"old"
    store.write("a", b"new")
    assert store.read("a") == b"new"


def test_a_write_that_takes_several_calls_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
    open_store(tmp_path).write("a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_data_and_name_are_flushed_before_a_write_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.readlink(f"/proc/self/fd/{handle}")))
    open_store(tmp_path).write("folder/a", b"1")
    assert flushed[0].startswith(str(tmp_path / "folder" / "a.")), "the file under its temporary name"
    assert flushed[1:] == [str(tmp_path / "folder")]


def test_a_limit_on_file_sizes_is_told(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(StoreFailed, match="raise the limit"):
            open_store(tmp_path).write("a", bytes(100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_write_permission_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    script = (
        "import os, sys\nfrom loop.errors import StoreFailed\nfrom loop.store import open_store\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: open_store(sys.argv[1]).write('a', b'1')\nexcept StoreFailed as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    tmp_path.chmod(0o755)
    assert "(Permission denied): make it readable and writable, then the same command goes on." in done.stdout

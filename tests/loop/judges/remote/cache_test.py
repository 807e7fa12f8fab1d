from __future__ import annotations

import threading
from pathlib import Path

import pytest

from loop.errors import Refused
from loop.judges.remote.cache import Cache
from loop.judges.remote.exchange import Completion

KEY = "ab" * 16
ONE = Completion("héllo", "stop", {"A": -0.1234567890123, " B": -3.0}, 5, 1, 2.5)


def only_file(folder: Path) -> Path:
    (file,) = (f for f in folder.rglob("*") if f.is_file())
    return file


def test_what_was_put_is_got_by_another_process(tmp_path: Path) -> None:
    assert Cache(tmp_path).put(KEY, ONE)
    found = Cache(tmp_path).get(KEY)
    assert found == Completion("héllo", "stop", ONE.logprobs, 5, 1, 0.0)
    assert Cache(tmp_path).get("cd" * 16) is None


@pytest.mark.parametrize("content", ["", "x", "{}", "\n{}", "\n", '{"text": "yes"}'])
def test_a_file_with_another_content_is_absent(tmp_path: Path, content: str) -> None:
    cache = Cache(tmp_path)
    cache.put(KEY, ONE)
    only_file(tmp_path).write_text(content)
    assert cache.get(KEY) is None
    assert cache.put(KEY, ONE)
    assert cache.get(KEY) is not None


def test_every_changed_byte_makes_it_absent(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put(KEY, ONE)
    file = only_file(tmp_path)
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert cache.get(KEY) is None, place
        file.write_bytes(whole[:place])
        assert cache.get(KEY) is None, place


def test_an_entry_under_another_key_is_absent(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put(KEY, ONE)
    other = KEY[:-1] + "0"
    only_file(tmp_path).rename(cache._file(other))
    assert cache.get(other) is None


def test_writers_and_readers_at_once_see_whole_entries(tmp_path: Path) -> None:
    seen: set[Completion | None] = set()
    long = "long " * 5000

    def work(number: int) -> None:
        cache = Cache(tmp_path)
        for _ in range(50):
            cache.put(KEY, Completion(long + str(number % 2), "stop", None, 0, 0))
            seen.add(cache.get(KEY))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen <= {Completion(long + n, "stop", None, 0, 0) for n in "01"}
    assert only_file(tmp_path), "nothing unfinished is left"


def test_no_room_loses_the_entry_only(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (tmp_path / KEY[:2]).write_text("in the way")
    assert not cache.put(KEY, ONE)
    assert cache.get(KEY) is None


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match=r"judge\.server\.cache"):
        Cache(tmp_path / "file" / "cache")

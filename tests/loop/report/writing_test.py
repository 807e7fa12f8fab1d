from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from loop.report.writing import FILE_NAME, write_report
from loop.summary import RunSummary
from tests.loop.report.made import HIDDEN, IMAGE, NASTY, RUN, SCRIPT, made, scored
from tests.loop.run_folders import begun

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
ALLOWED = {"href", "id", "class", "lang", "charset", "http-equiv", "content", "name", "rel", "scope", "dir", "open",
           "tabindex", "role", "aria-label", "aria-labelledby", "title", "viewbox", "x", "y", "x1", "x2", "y1", "y2",
           "cx", "cy", "r", "d", "points", "width", "height", "transform"}  # fmt: skip


class Elements(HTMLParser):
    """What a browser would find: elements with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "line", "circle", "path", "rect", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def tags(self) -> Counter[str]:
        """How often each element is there."""
        return Counter(tag for tag, _ in self.elements)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a run whose every text means harm."""
    folder = made(tmp_path_factory.mktemp("runs") / "made-dpo-llm-1234abcd")
    path = write_report(folder, RUN)
    assert path == folder / FILE_NAME
    assert path.stat().st_size < 1_500_000
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found(page: str) -> Elements:
    return Elements(page)


def bare(folder: Path, run: RunSummary) -> str:
    return write_report(begun(folder), run).read_text(encoding="utf-8")


def test_nothing_that_a_model_wrote_becomes_markup(found: Elements) -> None:
    assert found.open == []
    tags = found.tags()
    assert not {"script", "img", "iframe", "object", "embed", "form", "base", "style "} & set(tags)
    assert (tags["html"], tags["style"], tags["link"]) == (1, 1, 1)
    attributes = {name for _, attrs in found.elements for name in attrs}
    assert attributes <= ALLOWED


def test_what_a_model_wrote_is_there_to_read(found: Elements) -> None:
    for text in (SCRIPT, IMAGE, "</div></details></html>{{ 7 * 7 }}", "'; DROP TABLE responses; --"):
        assert text in found.text
    assert "a\\x1b[2Jb\\x00c\\u202egnp.exe\\u2066" in found.text
    assert "49" not in re.findall(r"\d+", found.text.partition("{{ 7 * 7 }}")[2][:10])


def test_nothing_is_hidden(page: str) -> None:
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", page) == []


def test_every_place_is_escaped(found: Elements) -> None:
    """Prompt, answers, judge's words, reason of the gate, diagnostics, notes, model, versions, configuration."""
    for before, after in (
        ("on tiny ", IMAGE),
        ("The lower bound against r0-s0 is above 0.48 ", SCRIPT),
        ("Answers grow ", IMAGE),
        ("Note ", SCRIPT),
        ("2.13 ", SCRIPT),
        ("system: ", SCRIPT),
    ):
        assert before + after in found.text


def test_the_page_asks_nobody_for_anything(page: str, found: Elements) -> None:
    metas = [attrs for tag, attrs in found.elements if tag == "meta"]
    assert [one["content"] for one in metas if one.get("http-equiv") == "Content-Security-Policy"] == [POLICY]
    assert page.index("Content-Security-Policy") < page.index("<style")
    links = [attrs["href"] or "" for _, attrs in found.elements if "href" in attrs]
    assert links.count("data:,") == 1
    ids = {attrs["id"] for _, attrs in found.elements if "id" in attrs}
    assert {one for one in links if one != "data:,"} <= {f"#{one}" for one in ids}
    assert not re.search(r"url\(|@import|https?://", page.partition("</style>")[0])


def test_ids_are_unique(found: Elements) -> None:
    ids = Counter(attrs["id"] for _, attrs in found.elements if "id" in attrs)
    assert max(ids.values()) == 1


def test_a_screen_reader_finds_its_way(found: Elements) -> None:
    tags = found.tags()
    assert dict(found.elements)["html"] == {"lang": "en"}
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert tags["caption"] == tags["table"] > 0
    assert all(attrs.get("scope") in ("row", "col") for tag, attrs in found.elements if tag == "th")
    assert tags["svg"] == tags["title"] - 1 == tags["desc"] > 0


def test_all_sections_are_there(found: Elements) -> None:
    sections = [attrs["id"] for tag, attrs in found.elements if tag == "section"]
    assert sections == [
        "rounds", "gate", "diagnostics", "judge", "examples", "answers", "notes", "configuration", "missing",
    ]  # fmt: skip
    assert "Judge's reliability: it compared no right answer with a wrong one." in found.text


def test_sections_that_a_run_lacks_are_named_and_leave_no_plot(tmp_path: Path) -> None:
    run = replace(RUN, initial=scored(0, 80), rounds=[scored(1, 100)])
    told = Elements(bare(tmp_path / "run", run))
    sections = [attrs["id"] for tag, attrs in told.elements if tag == "section"]
    assert sections == ["rounds", "configuration", "missing"]
    assert told.tags()["svg"] == 1  # the gold score
    for name in ("Win rates", "Gate", "Diagnostics", "Time by phase", "Examples to look at"):
        assert f"{name}: " in told.text


def test_a_run_before_its_first_round_has_a_page(tmp_path: Path) -> None:
    run = replace(RUN, initial=replace(RUN.initial, policy="", gold_score=None, gold_low=None, seconds={}), rounds=[])
    told = Elements(bare(tmp_path / "run", run))
    assert "no round is complete" in told.text
    assert told.tags()["svg"] == 0


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", replace(RUN, rounds=RUN.rounds[:2]))
    run = replace(RUN, rounds=RUN.rounds[:2])
    first = write_report(folder, run).read_bytes()
    assert write_report(folder, run).read_bytes() == first


def test_a_page_of_many_long_rounds_stays_small(tmp_path: Path) -> None:
    many = [replace(scored(n, 100), notes=[HIDDEN * 200], seconds={"learn": 1.0}) for n in range(1, 1001)]
    assert len(bare(tmp_path / "run", replace(RUN, rounds=many))) < 1_500_000
    assert max(map(len, NASTY)) > 1200

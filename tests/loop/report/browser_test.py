"""The page in a real browser: nothing asked for, nothing complained about, everything drawn, nothing cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loop.difference import held_config
from loop.identity import meaning
from loop.report.comparing import compare
from loop.report.writing import write_report
from loop.view.reporting import compared_page
from tests.loop.report.browser import Page, browser, executable
from tests.loop.report.made import RUN, SCRIPT, made

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium on this machine")

BOXES = """
[...document.querySelectorAll('svg')].map(svg => {
  const box = svg.getBoundingClientRect(), drawn = svg.getBBox();
  return [box.width, box.height, drawn.width, drawn.height, svg.querySelectorAll('.l, .m, .f').length];
})
"""
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
UNFOLD = "document.querySelectorAll('details').forEach(one => one.open = true)"
OUTSIDE = """
[...document.querySelectorAll('body *')].filter(one => !one.closest('.scroll, svg')
  && one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map(one => one.outerHTML.slice(0, 80))
"""
CLIPPED = """
[...document.querySelectorAll('svg text')].filter(one => {
  const box = one.getBoundingClientRect(), svg = one.closest('svg').getBoundingClientRect();
  return box.left < svg.left - 1 || box.right > svg.right + 1 || box.bottom > svg.bottom + 1;
}).map(one => one.textContent)
"""
CAPTIONS = """
[...document.querySelectorAll('caption .stay')].filter(
  one => one.getBoundingClientRect().right > document.documentElement.clientWidth).map(one => one.textContent)
"""
CONTRAST = """
(() => {
  const luminance = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = one => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
  };
  const low = [];
  for (const one of document.querySelectorAll('body *:not(svg title, svg desc)')) {
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    const style = getComputedStyle(one);
    const ink = luminance(one.closest('svg') ? style.fill : style.color), paper = luminance(ground(one));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) low.push([one.tagName, one.className.baseVal ?? one.className, ratio]);
  }
  return low;
})()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run whose every text means harm, and its comparison with itself."""
    folder = made(tmp_path_factory.mktemp("runs") / "made-dpo-llm-1234abcd")
    write_report(folder, RUN)
    config = meaning(held_config(folder))
    (folder / "compare.html").write_bytes(compared_page(compare([RUN, RUN], [config, config])))
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(params=["report.html", "compare.html"])
def file(folder: Path, request: pytest.FixtureRequest) -> Path:
    return folder / str(request.param)


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_loads_itself_and_nothing_else(page: Page, file: Path, dark: bool) -> None:
    seen = page.open(file, 1280, dark=dark)
    assert seen.messages == []
    assert seen.requests == [file.as_uri()]


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_every_plot_is_drawn(page: Page, file: Path, width: int) -> None:
    page.open(file, width)
    boxes = page.evaluate(BOXES)
    assert len(boxes) >= 4
    assert all(min(box) > 0 for box in boxes)
    assert page.evaluate(CLIPPED) == []


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_nothing_sticks_out(page: Page, file: Path, width: int) -> None:
    page.open(file, width)
    page.evaluate(UNFOLD)
    assert page.evaluate(WIDTHS) == [width, width]
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(CAPTIONS) == []


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(page: Page, file: Path, dark: bool) -> None:
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5 to 1."""
    page.open(file, 1280, dark=dark)
    page.evaluate(UNFOLD)
    assert page.evaluate(CONTRAST) == []


def test_dark_and_light_differ(page: Page, folder: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    grounds = []
    for dark in (False, True):
        page.open(folder / "report.html", 800, dark=dark)
        grounds.append(page.evaluate(ground))
    assert grounds[0] != grounds[1]


def test_the_browser_sees_harmful_text_as_text(page: Page, folder: Path) -> None:
    page.open(folder / "report.html", 1280)
    assert page.evaluate("document.querySelectorAll('script, img, iframe').length") == 0
    assert SCRIPT in page.evaluate("document.body.textContent")


def test_a_page_that_asks_for_something_would_be_noticed(page: Page, tmp_path: Path) -> None:
    loud = tmp_path / "loud.html"
    loud.write_text("<img src='other.png'><script>console.error('oh')</script><p style='width: 2000px'>wide</p>")
    seen = page.open(loud, 360)
    assert seen.requests == [loud.as_uri(), (tmp_path / "other.png").as_uri()]
    assert any("oh" in message for message in seen.messages)
    assert page.evaluate(WIDTHS)[0] > 360


def test_on_paper_nothing_is_folded_or_cut_off(page: Page, folder: Path) -> None:
    page.open(folder / "report.html", 720)  # a sheet of A4 with margins
    heights = "[...document.querySelectorAll('details')].map(one => one.getBoundingClientRect().height)"
    assert min(page.evaluate(heights)) < 60
    page.call("Emulation.setEmulatedMedia", media="print")
    assert min(page.evaluate(heights)) > 100
    assert page.evaluate(WIDTHS) == [720, 720]
    page.call("Emulation.setEmulatedMedia", media="")

"""The report as a file: well formed, alone, and without complaints in a real browser."""

import re

import pytest

from audits.fixes import Word
from audits.report.page import report_page
from audits.summary import summarize
from tests.audits.browser import CHROMIUM, browser
from tests.audits.evidence import made_up_evidence
from tests.loadtests.report.test_page import Balanced


def page_of(evidence, words=None) -> str:
    pictures = {each.id: each.picture for each in evidence.samples if each.picture is not None}
    return report_page(summarize(evidence, words or {}), pictures)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    return made_up_evidence(tmp_path_factory.mktemp("audit"), name="week <47>")


@pytest.fixture(scope="module")
def page(evidence):
    words = {each.id: [Word(each.needs_fix, 5.0)] for each in evidence.of("ui-badge")}
    return page_of(evidence, words)


class Page(Balanced):
    def handle_starttag(self, tag, attributes):
        if tag not in ("img", "wbr"):
            super().handle_starttag(tag, attributes)


def test_it_is_well_formed_and_stands_alone(page):
    parser = Page()
    parser.feed(page)
    assert parser.open == []
    assert not re.search(r"(src|href)=.?(https?:|//)|@import|url\(", page)
    assert "week &lt;47&gt;" in page


def test_what_failed_may_not_stand_in_and_the_worst_comes_first(page):
    badges = page[page.index('id="asset-ui-badge"') : page.index('id="asset-poster-title"')]
    assert re.search(r"creative may not<small>legible 0 of 12, needs 95%", badges)
    sheet = badges[badges.index("worst first</h3>") :]
    rows = re.findall(r'role="rowheader">(.*?)<small>', sheet)
    assert len(rows) == 12
    assert sheet.index("SA1E") < sheet.index("&quot;NEW&quot;")


def test_a_picture_that_did_not_come_is_shown_as_that(page):
    assert "503 refused_capacity" in page
    assert "1 picture did not come" in page


def test_nobody_judged_is_said(evidence):
    assert "Nobody has judged these pictures yet" in page_of(evidence)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
async def test_a_browser_shows_it_without_complaints_or_network(page, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page)
    async with browser(tmp_path) as tab:
        for width, dark in ((1280, False), (390, True)):
            await tab.show(width, 900, dark=dark)
            await tab.open(file.as_uri())
            assert await tab.evaluate("document.documentElement.scrollWidth") == width
            shown = await tab.evaluate("[...document.images].every((each) => each.naturalWidth > 0)")
            assert shown
        curves = await tab.evaluate("document.querySelectorAll('figure path.line').length")
        asked = [url for url in tab.asked if not url.startswith("data:")]
    assert curves == 9
    assert tab.complaints == []
    assert asked == [file.as_uri()] * 2

import re
from html.parser import HTMLParser

import pytest

from loadtests.report.page import report_page
from tests.loadtests.report.browser import CHROMIUM, show
from tests.loadtests.report.runs import made_up_run

VOID = {"meta", "link"}


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []
        self.seen = []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_stands_alone():
    page = report_page(made_up_run(), made_up_run("baseline", seed=2, slower=1.5))
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert parser.seen.count("svg") == 4
    assert not re.search(r"(src|href)=.?(https?:|//)|@import|url\(", page)
    assert "evening &lt;peak&gt;" in page
    assert "evening <peak>" not in page


def test_replicas_are_drawn_where_they_are_known():
    summary = {**made_up_run(), "replicas": {"diffusion": [[0, 1], [30, 3]], "typesetter": [[0, 1]]}}
    assert "Replicas over time" in report_page(summary)
    assert "Replicas over time" not in report_page(made_up_run())


def test_a_report_says_why_replicas_are_not_drawn():
    page = report_page({**made_up_run(), "replicas_missing": "GET /v1/fleet told nothing: HTTP 404"})
    assert "Replicas over time are not known: GET /v1/fleet told nothing: HTTP 404." in page


@pytest.mark.parametrize("known", [{"diffusion": [[0, 2], [9, 1]]}, {}, None])
def test_a_baseline_may_know_its_replicas_or_not(known):
    summary = {**made_up_run(), "replicas": {"diffusion": [[0, 1], [30, 3]]}}
    baseline = made_up_run("baseline", seed=2) | ({} if known is None else {"replicas": known})
    assert ("diffusion, baseline" in report_page(summary, baseline)) == bool(known)
    assert "Replicas over time" not in report_page(made_up_run(), {**baseline, "replicas": known})


def test_a_run_without_answers_is_a_page_too():
    assert "Nothing was measured" in report_page(made_up_run(seconds=0))


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.slow
def test_a_browser_shows_the_charts_without_errors_or_network(tmp_path):
    replicas = {"replicas": {"diffusion": [[0, 1], [30, 3]], "typesetter": [[0, 1]]}}
    page = report_page(made_up_run() | replicas, made_up_run("baseline", seed=2, slower=1.5))
    shown = show(page, tmp_path)
    assert shown.failures == []
    assert shown.asked == 0
    assert shown.colours > 100
    assert shown.lines >= 8
    assert shown.bars >= 60
    assert "Replicas over time" in shown.captions
    assert "p95" in shown.tip

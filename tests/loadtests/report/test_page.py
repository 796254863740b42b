import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from PIL import Image

from loadtests.report.page import report_page
from tests.loadtests.report.runs import made_up_run

CHROMIUM = shutil.which("chromium")
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


# The page's last script reports to its title, which is what --dump-dom can see.
WATCH = """<script>
let failures = [];
addEventListener("error", (event) => { failures.push(event.message); });
addEventListener("load", () => {
  document.querySelector("figure svg").dispatchEvent(
    new PointerEvent("pointermove", {clientX: 300, clientY: 200, bubbles: true}));
  const paths = [...document.querySelectorAll("path.line")];
  const lines = paths.filter((path) => path.getTotalLength() > 50).length;
  const bars = document.querySelectorAll("rect.bar").length;
  const asked = performance.getEntriesByType("resource").length;
  const tip = document.getElementById("tip").textContent;
  const charts = [...document.querySelectorAll("figure")].filter(
    (figure) => figure.querySelector("svg").getBoundingClientRect().height > 100);
  const captions = charts.map((figure) => figure.querySelector("figcaption").textContent);
  document.title = JSON.stringify({failures, lines, bars, asked, tip, captions});
});
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.slow
def test_a_browser_shows_the_charts_without_errors_or_network(tmp_path):
    replicas = {"replicas": {"diffusion": [[0, 1], [30, 3]], "typesetter": [[0, 1]]}}
    page = report_page(made_up_run() | replicas, made_up_run("baseline", seed=2, slower=1.5))
    file, picture = tmp_path / "report.html", tmp_path / "report.png"
    file.write_text(page)
    run_chromium(tmp_path, f"--screenshot={picture}", "--window-size=1400,1600", file.as_uri())
    with Image.open(picture) as image:
        assert len(image.convert("RGB").getcolors(maxcolors=1 << 24) or []) > 100
    watched = tmp_path / "watched.html"
    watched.write_text(page.replace("<body>", f"<body>{WATCH}"))
    dom = run_chromium(tmp_path, "--dump-dom", watched.as_uri())
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)[1]
    assert '"failures":[]' in title
    assert '"asked":0' in title
    assert int(re.search(r'"lines":(\d+)', title)[1]) >= 8
    assert "Replicas over time" in re.search(r'"captions":\[(.*?)\]', title)[1]
    assert int(re.search(r'"bars":(\d+)', title)[1]) >= 60
    assert "p95" in title


def run_chromium(folder, *arguments):
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--hide-scrollbars",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={folder / 'profile'}",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout

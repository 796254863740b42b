"""A report in headless Chromium: what it draws, and what it complains of."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

CHROMIUM = shutil.which("chromium")

# The page's last script reports to its title, which is what --dump-dom can see.
WATCH = """<script>
let failures = [];
for (const level of ["error", "warn"]) { console[level] = (...words) => { failures.push(words.join(" ")); }; }
addEventListener("error", (event) => { failures.push(event.message); });
addEventListener("unhandledrejection", (event) => { failures.push(String(event.reason)); });
addEventListener("load", () => {
  document.querySelector("figure svg").dispatchEvent(
    new PointerEvent("pointermove", {clientX: 300, clientY: 200, bubbles: true}));
  const paths = [...document.querySelectorAll("path.line")];
  const lines = paths.filter((path) => path.getTotalLength() > 50).length;
  const bars = document.querySelectorAll("rect.bar").length;
  const dots = [...document.querySelectorAll("path.line.dots")]
    .map((path) => path.getAttribute("d").split("M").length - 1).reduce((sum, count) => sum + count, 0);
  const asked = performance.getEntriesByType("resource").length;
  const tip = document.getElementById("tip").textContent;
  const charts = [...document.querySelectorAll("figure")].filter(
    (figure) => figure.querySelector("svg").getBoundingClientRect().height > 100);
  const captions = charts.map((figure) => figure.querySelector("figcaption").textContent);
  document.title = JSON.stringify({failures, lines, bars, dots, asked, tip, captions});
});
</script>"""


@dataclass(frozen=True)
class Shown:
    """`captions` are those of charts higher than 100 pixels, `lines` the paths longer than 50, `asked` the
    requests to the network, `colours` those of the screenshot."""

    failures: list[str]
    lines: int
    bars: int
    dots: int
    asked: int
    tip: str
    captions: list[str]
    colours: int


def show(page: str, folder: Path) -> Shown:
    file, picture, watched = folder / "page.html", folder / "page.png", folder / "watched.html"
    file.write_text(page)
    watched.write_text(page.replace("<body>", f"<body>{WATCH}"))
    _chromium(folder, f"--screenshot={picture}", "--window-size=1400,1600", file.as_uri())
    title = re.search(r"<title>(.*?)</title>", _chromium(folder, "--dump-dom", watched.as_uri()), re.DOTALL)
    with Image.open(picture) as image:
        colours = len(image.convert("RGB").getcolors(maxcolors=1 << 24) or [])
    return Shown(**json.loads(html.unescape(title[1])), colours=colours)


def _chromium(folder: Path, *arguments: str) -> str:
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

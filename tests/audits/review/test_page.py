"""The review page in a real browser: what a person presses is what the file says, once."""

import pytest

from audits.review.journal import Journal
from audits.review.server import open_session, review_app
from tests.audits.browser import CHROMIUM, Page, browser
from tests.audits.review.exhibits import listening, made_up_exhibits

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

# Per pair: a key for A, a key for B, which is better.
PRESSED = [
    ("Digit1", "Digit6", "ArrowLeft"),
    ("Digit2", "Digit6", "ArrowRight"),
    ("Digit1", "Digit7", "ArrowLeft"),
    ("Digit3", "Digit8", "ArrowDown"),
    ("Digit1", "Digit6", "ArrowDown"),
    ("Digit5", "Digit6", "ArrowRight"),
    ("Digit1", "Digit0", "ArrowLeft"),
    ("Digit4", "Digit9", "ArrowDown"),
    ("Digit1", "Digit6", "Enter"),
    ("Digit2", "Digit7", "Enter"),
]
MINUTES = {"1": 0, "2": 1, "3": 5, "4": 15, "5": 60, "6": 0, "7": 1, "8": 5, "9": 15, "0": 60}
PREFERRED = {"ArrowLeft": "left", "ArrowDown": "neither", "ArrowRight": "right", "Enter": None}


async def at_pair(page: Page, number: int) -> None:
    await page.until(f"document.getElementById('place').textContent === 'Pair {number} of 10'")


async def test_ten_blind_pairs_by_keyboard_arrive_once_each(tmp_path):
    exhibits = made_up_exhibits(tmp_path)
    journal = Journal(tmp_path / "reviews.jsonl")
    session, pairs = open_session(journal, exhibits, "ada", seed=7)
    async with browser(tmp_path) as page:
        with listening(review_app(journal, session, pairs)) as address:
            await page.open(address)
            for number, keys in enumerate(PRESSED, 1):
                await at_pair(page, number)
                if number == 4:  # a reload goes on where it was
                    await page.open(address)
                    await at_pair(page, number)
                await page.press(*keys)
                await page.press(keys[-1], repeat=True)  # the key stays down, and is pressed twice
                await page.press(keys[-1])
            await page.until("!document.getElementById('done').hidden")
            shown = await page.evaluate("document.documentElement.outerHTML")
            asked = "\n".join(page.asked)
    assert page.complaints == []
    for variant in ("typesetter", "creative"):
        assert variant not in shown
        assert variant not in asked

    written = Journal(tmp_path / "reviews.jsonl")
    assert len((tmp_path / "reviews.jsonl").read_text().splitlines()) == 1 + 10
    judgements = written.latest(session.id)
    assert [pair for _, pair in judgements] == [pair.id for pair in session.pairs]
    for keys, judgement in zip(PRESSED, judgements.values(), strict=True):
        assert judgement.left.minutes == MINUTES[keys[0][-1]]
        assert judgement.right.minutes == MINUTES[keys[1][-1]]
        assert judgement.prefer == PREFERRED[keys[2]]
        assert judgement.revision == 0
        assert 0 <= judgement.looked_s < 60
    recorded = written.sessions[session.id]
    assert recorded.seed == 7
    assert {tuple(sorted((pair.left, pair.right))) for pair in recorded.pairs} == {
        (f"{asset}-{number}-creative", f"{asset}-{number}-typesetter")
        for asset in ("ui-badge", "poster-title")
        for number in range(5)
    }


async def test_a_judgement_can_be_taken_back(tmp_path):
    journal = Journal(tmp_path / "reviews.jsonl")
    session, pairs = open_session(journal, made_up_exhibits(tmp_path), "ada", seed=7)
    async with browser(tmp_path) as page:
        with listening(review_app(journal, session, pairs)) as address:
            await page.open(address)
            await at_pair(page, 1)
            await page.press("Digit1", "Digit6", "Enter")
            await at_pair(page, 2)
            await page.press("Backspace")
            await at_pair(page, 1)
            await page.press("Digit4", "Enter")
            await at_pair(page, 2)
    latest = journal.latest(session.id)[session.id, pairs[0].id]
    assert (latest.revision, latest.left.minutes, latest.right.verdict) == (1, 15, "accept")


async def test_the_page_fits_a_phone_and_every_control_has_a_name(tmp_path):
    journal = Journal(tmp_path / "reviews.jsonl")
    session, pairs = open_session(journal, made_up_exhibits(tmp_path), "ada", seed=7)
    async with browser(tmp_path) as page:
        with listening(review_app(journal, session, pairs)) as address:
            await page.show(360, 740, touch=True)
            await page.open(address)
            await at_pair(page, 1)
            assert await page.evaluate("document.documentElement.scrollWidth") == 360
            short = await page.evaluate(
                "[...document.querySelectorAll('button')].map((each) => each.offsetHeight)"
                ".filter((height_px) => height_px && height_px < 44)"
            )
            assert short == []
            tree = (await page.call("Accessibility.getFullAXTree"))["nodes"]
    assert page.complaints == []
    buttons = [node for node in tree if node.get("role", {}).get("value") in ("button", "ToggleButton")]
    names = [node["name"]["value"] for node in buttons]
    assert len(names) >= 17
    assert all(names)
    assert len(set(names)) == len(names), "two controls have one name"

import json
import random
from dataclasses import replace

import pytest

from audits.evidence import Reading
from audits.fixes import Word
from audits.summary import summarize
from routing.feedback import wilson
from tests.audits.evidence import MODELS, made_up_evidence

QUESTIONS = 12


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    return made_up_evidence(tmp_path_factory.mktemp("audit"), QUESTIONS)


def asset(document, name):
    return next(each for each in document["assets"] if each["name"] == name)


def variant(document, asset_name, name):
    return next(each for each in asset(document, asset_name)["variants"] if each["name"] == name)


def test_the_document_is_json_and_counts_what_passed(evidence):
    document = summarize(evidence, {})
    assert json.loads(json.dumps(document)) == document
    found = variant(document, "ui-badge", "creative + typeset")
    assert found["models"] == list(MODELS["creative + typeset"])
    legible = found["criteria"]["legible"]
    assert (legible["passed"], legible["count"], legible["met"]) == (8, 12, False)
    # 4 of 12 prompts miss: at least as wide as Wilson's interval over independent pictures.
    assert legible["interval"]["low"] <= wilson(8, 12).low < 8 / 12 < wilson(8, 12).high
    assert wilson(8, 12).high <= legible["interval"]["high"] <= 1
    assert found["criteria"]["size"]["met"]
    assert found["latency"]["p50_ms"] == pytest.approx(980 * 1.275)
    interval = found["latency"]["p95_interval_ms"]
    assert interval["low"] <= found["latency"]["p95_ms"] <= interval["high"]


def test_a_picture_that_came_late_passes_not_and_yet_needs_no_fix(evidence):
    late = Reading("legible", False, 9000.0, calls_for_fix=False)
    samples = tuple(
        replace(each, readings=(late,)) if (each.asset, each.variant) == ("ui-badge", "typesetter") else each
        for each in evidence.samples
    )
    found = variant(summarize(replace(evidence, samples=samples), {}), "ui-badge", "typesetter")
    assert found["criteria"]["legible"]["passed"] == 0
    assert found["fixes"]["predicted"]["ratio"] == 0


def test_a_picture_that_did_not_come_passes_nothing_and_needs_a_fix(evidence):
    found = variant(summarize(evidence, {}), "icon", "creative")
    assert found["failed"] == 1
    assert found["criteria"]["edges"]["passed"] == 11
    assert found["fixes"]["predicted"]["ratio"] == pytest.approx(1 / 12)


def test_what_people_said_replaces_the_prediction_where_there_is_enough_of_it(evidence):
    document = summarize(evidence, {})
    assert variant(document, "ui-badge", "creative")["fixes"]["used"] == "predicted"
    judged = {each.id: [Word(each.needs_fix, 4.0)] for each in evidence.of("ui-badge", "creative")}
    document = summarize(evidence, judged)
    own, other = variant(document, "ui-badge", "creative"), variant(document, "icon", "typesetter")
    assert (own["fixes"]["used"], own["fixes"]["measured"]["ratio"], own["fix_minutes"]) == (
        "measured",
        1.0,
        4.0,
    )
    assert other["fixes"]["used"] == "calibrated"
    assert document["agreement"]["ratio"] == 1.0


def test_the_cost_is_the_gpus_time_and_the_staffs(evidence):
    found = variant(summarize(evidence, {}), "ui-badge", "creative")
    image_usd = 0.8 * 2.5 / 3600
    assert found["image_usd"] == pytest.approx(image_usd)
    assert found["cost_usd"] == pytest.approx(image_usd + 1.0 * 6 / 60 * 60)


def test_a_winner_is_shown_only_where_there_is_one(evidence):
    compared = {
        (each["one"], each["other"]): each
        for each in asset(summarize(evidence, {}), "ui-badge")["comparisons"]
    }
    assert compared["typesetter", "creative"]["better"] == "typesetter"
    assert compared["typesetter", "creative"]["difference"] == -1.0
    # 4 of 12 that need a fix against none: too few to tell.
    assert compared["typesetter", "creative + typeset"]["better"] is None


def test_one_question_shows_no_winner(tmp_path):
    compared = asset(summarize(made_up_evidence(tmp_path, 1), {}), "ui-badge")["comparisons"]
    assert {each["better"] for each in compared} == {None}


def test_equal_variants_are_told_apart_as_rarely_as_promised(tmp_path):
    """Two that both need a fix in 30% of 40 pictures, judged 40 times."""
    base = made_up_evidence(tmp_path, 12)
    ids = [each for each in base.of("icon") if each.variant != "creative"]
    chance, wrong = random.Random(5), 0
    for _ in range(40):
        words = {each.id: [Word(chance.random() < 0.3, 1.0)] for each in ids}
        compared = asset(summarize(base, words), "icon")["comparisons"]
        wrong += (
            next(each for each in compared if "creative" not in (each["one"], each["other"]))["better"]
            is not None
        )
    assert wrong <= 5

import pytest
from starlette.testclient import TestClient

from audits.review.journal import Journal
from audits.review.server import open_session, review_app
from tests.audits.review.exhibits import made_up_exhibits

FIX = {"verdict": "fix", "minutes": 5}
ACCEPT = {"verdict": "accept"}


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "reviews.jsonl")


@pytest.fixture
def client(tmp_path, journal):
    session, pairs = open_session(journal, made_up_exhibits(tmp_path), "ada", seed=3)
    return TestClient(review_app(journal, session, pairs), base_url="http://127.0.0.1")


def posted(client: TestClient, **fields: object) -> dict[str, object]:
    pair = client.get("/session").json()["pairs"][0]["id"]
    return {"pair": pair, "revision": 0, "left": ACCEPT, "right": FIX, "looked_s": 2.5, **fields}


def test_a_judgement_sent_twice_is_stored_once(client, journal):
    body = posted(client, prefer="left")
    assert client.post("/judgements", json=body).json() == {"stored": True}
    assert client.post("/judgements", json=body).json() == {"stored": False}
    assert len(journal.latest()) == 1
    assert client.get("/session").json()["judged"][body["pair"]]["prefer"] == "left"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"pair": "nowhere"}, 404),
        ({"left": {"verdict": "accept", "minutes": 3}}, 422),
        ({"right": {"verdict": "fix", "minutes": -1}}, 422),
        ({"variant": "typesetter"}, 422),
        ({"revision": -1}, 422),
        ({"looked_s": -1}, 422),
    ],
)
def test_what_does_not_fit_is_refused(client, journal, fields, status):
    assert client.post("/judgements", json=posted(client, **fields)).status_code == status
    assert journal.latest() == {}


def test_nothing_sent_says_what_made_a_picture(client):
    pair = client.get("/session").json()["pairs"][0]["id"]
    answers = [client.get("/session"), client.get(f"/picture/{pair}/left")]
    for answer in answers:
        text = str(dict(answer.headers)) + ("" if "image" in answer.headers["content-type"] else answer.text)
        assert "typesetter" not in text
        assert "creative" not in text


def test_other_sites_and_other_names_are_refused(client):
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/").headers["content-security-policy"].startswith("default-src 'none'")


def test_an_unfinished_session_goes_on_and_a_finished_one_is_followed_by_another(tmp_path, journal):
    exhibits = made_up_exhibits(tmp_path, prompts=1)
    first, pairs = open_session(journal, exhibits, "ada")
    assert open_session(Journal(tmp_path / "reviews.jsonl"), exhibits, "ada") == (first, pairs)
    assert open_session(journal, exhibits, "ada", seed=first.seed ^ 1)[0].id != first.id
    assert open_session(journal, exhibits, "grace")[0].id != first.id
    journal = Journal(tmp_path / "other.jsonl")
    first, pairs = open_session(journal, exhibits, "ada")
    client = TestClient(review_app(journal, first, pairs), base_url="http://127.0.0.1")
    for pair in pairs:
        client.post("/judgements", json=posted(client, pair=pair.id))
    second, _ = open_session(journal, exhibits, "ada")
    assert second.id not in (first.id, "")

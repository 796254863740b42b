"""The local page where a person judges pairs of pictures, and what it talks to.

It listens on the loopback interface alone and answers only its own page: other hosts' names and other sites'
requests are refused. Nothing that it sends says which variant made a picture.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from audits.review.journal import Answer, Journal, JournalError, Judgement, PairLine, Session
from audits.review.pairing import Exhibit, Pair, plan_pairs

FIX_MINUTES = (1.0, 5.0, 15.0, 60.0)
"""What the page offers as the time of a fix."""

_PAGE_FILES = {
    "": ("page.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "page.js": ("page.js", "text/javascript"),
}
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


def open_session(
    journal: Journal,
    exhibits: Sequence[Exhibit],
    reviewer: str,
    *,
    seed: int | None = None,
    count: int | None = None,
) -> tuple[Session, tuple[Pair, ...]]:
    """The reviewer's latest session if it is not finished, was laid out as asked for, and its pictures are
    still there; or a new one, laid out by `seed` or by a random one. Either way the file says by which,
    and what order came of it."""
    known = {each.sample: each for each in exhibits}
    last = next((each for each in reversed(journal.sessions.values()) if each.reviewer == reviewer), None)
    if last is not None and len(journal.latest(last.id)) < len(last.pairs):
        as_asked = seed in (None, last.seed) and count in (None, len(last.pairs))
        if as_asked and all({pair.left, pair.right} <= known.keys() for pair in last.pairs):
            return last, tuple(Pair(each.id, known[each.left], known[each.right]) for each in last.pairs)
    seed = secrets.randbits(32) if seed is None else seed
    pairs = plan_pairs(exhibits, seed, count)
    session = Session(
        id=secrets.token_hex(6),
        reviewer=reviewer,
        seed=seed,
        started_unix_s=time.time(),
        pairs=tuple(PairLine(id=pair.id, left=pair.left.sample, right=pair.right.sample) for pair in pairs),
    )
    if pairs:
        journal.begin(session)
    return session, pairs


def review_app(journal: Journal, session: Session, pairs: Sequence[Pair]) -> FastAPI:
    """The page and its three endpoints, for one person's session."""
    app = FastAPI(title="Atelier review", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    app.middleware("http")(_own_page_only)
    by_id = {pair.id: pair for pair in pairs}

    @app.get("/session")
    def describe() -> dict[str, Any]:
        judged = {pair: _said(each) for (_, pair), each in journal.latest(session.id).items()}
        questions = [{"id": each.id, "asset": each.left.asset, "prompt": each.left.prompt} for each in pairs]
        return {"session": session.id, "fix_minutes": FIX_MINUTES, "pairs": questions, "judged": judged}

    @app.get("/picture/{pair}/{side}")
    def picture(pair: str, side: Literal["left", "right"]) -> FileResponse:
        found = by_id.get(pair)
        if found is None:
            raise HTTPException(404, "no such pair")
        # Under one name for all: the file's own may tell what made it.
        return FileResponse((found.left if side == "left" else found.right).path)

    @app.post("/judgements")
    def judge(answer: Answer) -> dict[str, bool]:
        judgement = Judgement(session=session.id, at_unix_s=time.time(), **answer.model_dump())
        try:
            return {"stored": journal.add(judgement)}
        except JournalError as error:
            raise HTTPException(404, str(error)) from None

    # Last: it would take every other path.
    @app.get("/")
    @app.get("/{name}")
    def page(name: str = "") -> Response:
        if name not in _PAGE_FILES:
            raise HTTPException(404, "no such page")
        file, kind = _PAGE_FILES[name]
        return Response((resources.files("audits.review") / file).read_bytes(), media_type=kind)

    return app


async def _own_page_only(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return Response("this page answers itself alone", 403)
    response = await go_on(request)
    response.headers.update(_HEADERS)
    return response


def _said(judgement: Judgement) -> dict[str, Any]:
    return judgement.model_dump(include={"revision", "left", "right", "prefer"})

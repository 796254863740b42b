"""POST /v1/feedback and GET /v1/experiments: how often people had to fix what was delivered."""

from collections.abc import Mapping
from dataclasses import asdict

from fastapi import APIRouter

from routing.feedback import Verdict
from serve.errors import ApiError
from serve.peers import Peers
from serve.schemas import FeedbackRequest


def feedback_router(peers: Peers) -> APIRouter:
    router = APIRouter(tags=["feedback"])

    @router.post("/v1/feedback", status_code=202, summary="Accepted as it was, or fixed by hand")
    async def feedback(body: FeedbackRequest) -> Mapping[str, str]:
        """Said twice of one receipt, the later word counts."""
        if body.verdict == "accepted" and body.minutes:
            raise ApiError(
                400, "invalid_parameter", "minutes are of a fix: verdict is accepted", param="minutes"
            )
        if not await peers.judge_anywhere(body.receipt_id, Verdict(body.verdict), body.minutes):
            raise ApiError(404, "unknown_receipt", "no router has delivered it lately", param="receipt_id")
        return {"status": "counted"}

    @router.get("/v1/experiments", summary="Manual-fix rates per route and arm, with 95% intervals")
    async def experiments() -> Mapping[str, object]:
        book = await peers.judged_anywhere()
        rates = book.rates()
        names = {rate.experiment for rate in rates if rate.experiment is not None}
        return {
            "rates": [asdict(rate) for rate in rates],
            "comparisons": {
                name: [{**asdict(each), "decided": each.decided} for each in book.comparisons(name)]
                for name in sorted(names)
            },
        }

    return router

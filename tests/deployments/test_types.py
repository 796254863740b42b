import pickle

from deployments.types import ImageFormat, RenderRequest


def test_what_is_left_of_a_deadline() -> None:
    request = RenderRequest("r", "x", 8, 8, 1, deadline_unix_s=100.0)
    assert request.remaining_s(97.5) == 2.5
    assert request.remaining_s(101.0) == -1.0
    assert RenderRequest("r", "x", 8, 8, 1).remaining_s(0.0) is None


def test_a_request_crosses_processes() -> None:
    request = RenderRequest(
        "r", "x", 8, 8, 1, options={"layout": {"kind": "badge"}}, trace={"traceparent": "t"}
    )
    assert pickle.loads(pickle.dumps(request)) == request


def test_media_types() -> None:
    assert ImageFormat.SVG.media_type == "image/svg+xml"
    assert ImageFormat.WEBP.media_type == "image/webp"

from collections.abc import Sequence
from typing import Any

import pytest

from serve.errors import ApiError
from serve.middleware.body_limit import PIECE_BYTES, BodyLimitMiddleware


async def send_through(
    chunks: Sequence[bytes],
    length: int | None,
    method: str = "POST",
    left: bool = False,
    header: bytes | None = None,
    path: str = "/v1/images/generations",
) -> tuple[int, bytes]:
    """Status, and the body that the application saw. `left`: the caller goes away after the chunks."""
    seen = b""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal seen
        message = await receive()
        seen = message.get("body", b"")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    messages = [
        {"type": "http.request", "body": chunk, "more_body": left or index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]
    if left:
        messages.append({"type": "http.disconnect"})
    statuses: list[int] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    if length is not None:
        header = str(length).encode()
    headers = [] if header is None else [(b"content-length", header)]
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    await BodyLimitMiddleware(app, 10)(scope, receive, send)
    return statuses[0], seen


@pytest.mark.parametrize("chunks", [[b"0123456789"], [b"01234", b"56789"], [b""], [b"0", b"", b"1"]])
async def test_a_body_within_the_limit_arrives_whole(chunks: list[bytes]) -> None:
    assert await send_through(chunks, None) == (200, b"".join(chunks))


@pytest.mark.parametrize(
    ("chunks", "length"),
    [([b"0123456789x"], 11), ([b"01234", b"56789", b"x"], None), ([b"012345", b"6789xx"], 4), ([b""], 11)],
)
async def test_a_body_over_the_limit_is_413_whatever_its_length_says(
    chunks: list[bytes], length: int | None
) -> None:
    assert await send_through(chunks, length) == (413, b"")


async def test_what_has_no_body_is_not_read() -> None:
    assert await send_through([b"0123456789x"], 11, method="GET") == (200, b"0123456789x")


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"\xb2", b""])
async def test_a_length_that_is_no_number_does_not_count(length: bytes) -> None:
    over = await send_through([b"0123456789x"], None, header=length)
    assert over == (413, b"")
    assert await send_through([b"01"], None, header=length) == (200, b"01")


async def test_a_large_body_arrives_in_pieces_and_in_order() -> None:
    seen: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            seen.append(message["body"])
            if not message["more_body"]:
                assert await receive() == {"type": "http.disconnect"}
                return

    drips = [bytes([number]) * (PIECE_BYTES // 3) for number in range(7)]
    messages = [
        {"type": "http.request", "body": drip, "more_body": number < 6} for number, drip in enumerate(drips)
    ]
    messages.append({"type": "http.disconnect"})

    async def receive() -> Any:
        return messages.pop(0)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await BodyLimitMiddleware(app, 7 * PIECE_BYTES)(scope, receive, receive)
    assert len(seen) == 2
    assert b"".join(seen) == b"".join(drips)


async def test_a_caller_that_goes_away_does_not_hang_the_reader() -> None:
    assert await send_through([b"0123"], 10, left=True) == (200, b"0123")


async def read_streamed(chunks: Sequence[bytes], length: int | None) -> list[Any]:
    """What happened, in order: chunks that the application read, the status, or the error it was given."""
    happened: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            while True:
                message = await receive()
                happened.append(message["body"])
                if not message["more_body"]:
                    return
        except ApiError as error:
            happened.append(error.status)

    messages = [
        {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            happened.append(message["status"])

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/files", "headers": headers}
    await BodyLimitMiddleware(app, 3, {"/v1/files": 10})(scope, receive, send)
    return happened


async def test_a_streamed_body_is_counted_piece_by_piece_up_to_a_limit_of_its_own() -> None:
    assert await read_streamed([b"01234", b"56789"], 10) == [b"01234", b"56789"]
    assert await read_streamed([b"01234", b"56789", b"x", b"y"], None) == [b"01234", b"56789", 413]
    assert await read_streamed([b"01234"], 11) == [413]

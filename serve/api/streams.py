"""Server-sent events of an image in the making, as OpenAI's API defines them.

Headers are sent with the first event: what fails before it is an ordinary HTTP error, what fails after it
is an `error` event, which the official client raises.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi.responses import StreamingResponse

from deployments.types import EncodedImage, PartialImage
from serve.dispatch import Dispatcher
from serve.errors import ApiError, internal_error
from serve.jobs import Answer, ImageJob

Event = PartialImage | Answer | ApiError


async def stream(
    dispatcher: Dispatcher, job: ImageJob, quality: str, named: str = "image_generation"
) -> StreamingResponse:
    """Events are `named` image_generation or image_edit. Raises ApiError if the job fails before anything
    could be shown."""
    events: asyncio.Queue[Event] = asyncio.Queue()
    work = asyncio.create_task(_work(dispatcher, job, events))
    try:
        first = await events.get()
    except asyncio.CancelledError:
        work.cancel()
        raise
    if isinstance(first, ApiError):
        raise first
    return StreamingResponse(
        _lines(first, events, work, job, quality, named),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _work(dispatcher: Dispatcher, job: ImageJob, events: asyncio.Queue[Event]) -> None:
    try:
        events.put_nowait(await dispatcher.dispatch(job, events.put_nowait))
    except ApiError as error:
        events.put_nowait(error)
    except Exception:
        events.put_nowait(internal_error())
        raise


async def _lines(
    event: Event,
    events: asyncio.Queue[Event],
    work: asyncio.Task[None],
    job: ImageJob,
    quality: str,
    named: str,
) -> AsyncIterator[str]:
    """Closing it, as a disconnect does, cancels the work."""
    try:
        while isinstance(event, PartialImage):
            yield _line(f"{named}.partial_image", _partial(event, job, quality))
            event = await events.get()
        if isinstance(event, ApiError):
            yield _line("error", event.body())
        else:
            yield _line(f"{named}.completed", _completed(event, job, quality))
    finally:
        work.cancel()


def _partial(partial: PartialImage, job: ImageJob, quality: str) -> dict[str, Any]:
    return {**_fields(partial.image, job, quality), "partial_image_index": partial.index}


def _completed(answer: Answer, job: ImageJob, quality: str) -> dict[str, Any]:
    """Nothing is billed by tokens here, so `usage` counts none; the receipt says what it took."""
    usage = {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    }
    fields = _fields(answer.images[0], job, quality)
    return {**fields, "usage": usage, "atelier": answer.receipt.model_dump(mode="json")}


def _fields(image: EncodedImage, job: ImageJob, quality: str) -> dict[str, Any]:
    return {
        "b64_json": base64.b64encode(image.data).decode("ascii"),
        "background": "transparent" if job.encoding.transparent else "opaque",
        "created_at": int(time.time()),
        "output_format": image.format.value,
        "quality": quality,
        "size": f"{image.width}x{image.height}",
    }


def _line(event: str, data: Mapping[str, Any]) -> str:
    body = json.dumps(data if event == "error" else {"type": event, **data}, separators=(",", ":"))
    return f"event: {event}\ndata: {body}\n\n"

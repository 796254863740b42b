"""Reads multipart/form-data, and says what is wrong with a form that cannot be read.

Knows nothing of what the fields mean.
"""

import contextlib
from collections.abc import AsyncIterator

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from serve.errors import bad_request

MAX_FIELD_BYTES = 1 << 20
"""Of one field that is no file: a prompt, a layout."""


@contextlib.asynccontextmanager
async def read_form(
    request: Request, wanted: str, max_files: int, max_fields: int
) -> AsyncIterator[FormData]:
    """A form that should have a file named `wanted`. Its files are closed at the end.

    Raises ApiError, code `invalid_body`, naming the field if there is one.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise bad_request("invalid_body", f"send multipart/form-data with the file as {wanted!r}", wanted)
    parser = _Parser(
        request.headers,
        request.stream(),
        max_files=max_files,
        max_fields=max_fields,
        max_part_size=MAX_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise bad_request("invalid_body", f"the form cannot be read: {error.message}", parser.field) from None
    try:
        if not parser.has_ended:
            raise bad_request(
                "invalid_body", "the form is cut off: its last boundary is missing", parser.field
            )
        yield form
    finally:
        await form.close()


class _Parser(MultiPartParser):
    """`field` is the one that is being read. A form without its end has lost it."""

    has_ended = False
    field: str | None = None

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self.field = None

    def on_headers_finished(self) -> None:
        try:
            super().on_headers_finished()  # raises where there are too many
        finally:
            self.field = self._current_part.field_name[:64] or None

    def on_end(self) -> None:
        super().on_end()
        self.has_ended = True

"""Files and batches through OpenAI's own client."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch

from deployments.types import RenderRequest, RenderResult
from serve.gateway import Gateway
from serve.keys import entry, new_key
from serve.metrics import NoObserver
from tests.serve.batches.test_lines import line
from tests.serve.gateways import echo, gateway, http, official

ENDED = ("completed", "failed", "expired", "cancelled")
ENDPOINT = "/v1/images/generations"
UNHURRIED = "default: {model: creative_highfidelity}"
"""For renders that a test holds back: a route with a short budget would give them up meanwhile."""


@asynccontextmanager
async def serving(of: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with of.app.router.lifespan_context(of.app):
        yield official(of)


def body(seed: int = 1, **changes: Any) -> dict[str, Any]:
    return {"prompt": "a poster", "size": "16x16", "atelier": {"seed": seed}, **changes}


async def begin(client: openai.AsyncOpenAI, *lines: bytes, **params: Any) -> Batch:
    file = await client.files.create(file=("items.jsonl", b"\n".join(lines)), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h", **params
    )


async def ended(client: openai.AsyncOpenAI, batch: Batch) -> Batch:
    async with asyncio.timeout(20):
        while batch.status not in ENDED:
            await asyncio.sleep(0.005)
            batch = await client.batches.retrieve(batch.id)
    return batch


async def results(client: openai.AsyncOpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    content = await client.files.content(file_id)
    return [json.loads(each) for each in content.text.splitlines()]


async def test_a_batch_from_upload_to_results(tmp_path: Path) -> None:
    async with serving(gateway(batches={"folder": str(tmp_path)})) as client:
        lines = [line("good", body=body(7)), line("bad", body=body(model="dall-e-9"))]
        batch = await begin(client, *lines, metadata={"brand": "acme"})
        assert (batch.status, batch.endpoint, batch.completion_window) == ("validating", ENDPOINT, "24h")
        assert batch.request_counts is not None
        batch = await ended(client, batch)
        assert batch.status == "completed"
        assert batch.metadata == {"brand": "acme"}
        assert batch.request_counts is not None
        assert batch.request_counts.model_dump() == {"total": 2, "completed": 1, "failed": 1}
        assert batch.expires_at == batch.created_at + 86400
        assert None not in (batch.in_progress_at, batch.finalizing_at, batch.completed_at)
        [output] = await results(client, batch.output_file_id)
        [error] = await results(client, batch.error_file_id)
    assert (output["custom_id"], output["error"]) == ("good", None)
    answer = output["response"]["body"]
    assert (output["response"]["status_code"], answer["atelier"]["images"][0]["seed"]) == (200, 7)
    assert output["response"]["request_id"] == answer["atelier"]["request_id"]
    assert answer["data"][0]["b64_json"].startswith("iVBOR")
    assert error["custom_id"] == "bad"
    assert error["response"]["status_code"] == 404
    assert error["response"]["body"]["error"]["code"] == "model_not_found"


async def test_files_are_listed_read_and_deleted(tmp_path: Path) -> None:
    async with serving(gateway(batches={"folder": str(tmp_path)})) as client:
        made = [
            await client.files.create(
                file=(f"{index}.jsonl", b"{}\n" * (index + 1)),
                purpose="batch",
                expires_after={"anchor": "created_at", "seconds": 3600},
            )
            for index in range(3)
        ]
        assert [file.bytes for file in made] == [3, 6, 9]
        assert made[0].expires_at == made[0].created_at + 3600
        assert (made[0].purpose, made[0].status, made[0].filename) == ("batch", "processed", "0.jsonl")
        listed = [file.id async for file in client.files.list(limit=2)]
        assert listed == [file.id for file in reversed(made)]
        assert [file.id async for file in client.files.list(order="asc", purpose="batch_output")] == []
        assert await client.files.retrieve(made[1].id) == made[1]
        assert (await client.files.content(made[1].id)).content == b"{}\n{}\n"
        assert (await client.files.delete(made[1].id)).deleted is True
        for call in (client.files.retrieve, client.files.content, client.files.delete):
            with pytest.raises(openai.NotFoundError, match="does not exist or has expired"):
                await call(made[1].id)


async def test_batches_are_listed_page_by_page(tmp_path: Path) -> None:
    async with serving(gateway(batches={"folder": str(tmp_path)})) as client:
        made = [await ended(client, await begin(client, line("a", body=body()))) for _ in range(3)]
        page = await client.batches.list(limit=2)
        assert (len(page.data), page.has_more) == (2, True)
        assert [batch.id async for batch in client.batches.list(limit=2)] == [
            batch.id for batch in reversed(made)
        ]


async def test_a_broken_file_fails_the_batch_with_its_lines(tmp_path: Path) -> None:
    async with serving(gateway(batches={"folder": str(tmp_path)})) as client:
        batch = await ended(client, await begin(client, line("a"), b"{"))
    assert (batch.status, batch.output_file_id) == ("failed", None)
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [(each.line, each.code) for each in batch.errors.data] == [(2, "invalid_json_line")]


async def test_cancelling_keeps_what_was_rendered(tmp_path: Path) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def render(request: RenderRequest) -> RenderResult:
        begun.set()
        await release.wait()
        return await echo("creative_highfidelity").render(request)

    renders = {"creative_highfidelity": render}
    config = {"folder": str(tmp_path), "concurrency": 1}
    async with serving(gateway(UNHURRIED, renders=renders, batches=config)) as client:
        lines = [line(str(index), body=body()) for index in range(3)]
        batch = await begin(client, *lines)
        await begun.wait()
        assert (await client.batches.cancel(batch.id)).status == "cancelling"
        release.set()
        batch = await ended(client, batch)
        assert (batch.status, batch.cancelled_at is None) == ("cancelled", False)
        assert [each["custom_id"] for each in await results(client, batch.output_file_id)] == ["0"]
        errors = await results(client, batch.error_file_id)
        assert [(each["custom_id"], each["error"]["code"]) for each in errors] == [
            ("1", "batch_cancelled"),
            ("2", "batch_cancelled"),
        ]
        assert (await client.batches.cancel(batch.id)).status == "cancelled"


async def test_a_batch_that_has_ended_cannot_be_cancelled(tmp_path: Path) -> None:
    async with serving(gateway(batches={"folder": str(tmp_path)})) as client:
        batch = await ended(client, await begin(client, line("a", body=body())))
        with pytest.raises(openai.ConflictError, match="completed: it can no longer"):
            await client.batches.cancel(batch.id)


async def test_results_keep_as_long_as_was_asked(tmp_path: Path) -> None:
    async with serving(gateway(batches={"folder": str(tmp_path)})) as client:
        expires = {"anchor": "created_at", "seconds": 7200}
        batch = await ended(client, await begin(client, line("a", body=body()), output_expires_after=expires))
        assert batch.output_file_id is not None
        file = await client.files.retrieve(batch.output_file_id)
    assert file.expires_at == file.created_at + 7200
    assert (file.purpose, file.filename) == ("batch_output", f"{batch.id}_output.jsonl")


async def test_a_batch_goes_on_where_the_last_process_stopped(tmp_path: Path) -> None:
    rendered: list[int] = []
    fourth = asyncio.Event()

    async def render(request: RenderRequest) -> RenderResult:
        if len(rendered) == 3 and not fourth.is_set():
            fourth.set()
            await asyncio.Event().wait()
        rendered.append(request.seed)
        return await echo("creative_highfidelity").render(request)

    def again() -> Gateway:
        config = {"folder": str(tmp_path), "concurrency": 1}
        return gateway(UNHURRIED, renders={"creative_highfidelity": render}, batches=config)

    async with serving(again()) as client:
        batch = await begin(client, *(line(str(seed), body=body(seed)) for seed in range(10)))
        await fourth.wait()
    async with serving(again()) as client:
        batch = await ended(client, batch)
        output = await results(client, batch.output_file_id)
    assert [each["custom_id"] for each in output] == [str(seed) for seed in range(10)]
    assert sorted(rendered) == list(range(10))


async def test_tenants_see_only_their_own(tmp_path: Path) -> None:
    keys = {name: new_key() for name in ("design", "press")}
    (tmp_path / "keys").write_text("\n".join(entry(name, key) for name, key in keys.items()))
    of = gateway(batches={"folder": str(tmp_path)}, auth={"keys_file": str(tmp_path / "keys")})
    async with serving(of) as anonymous:
        design, press = (anonymous.with_options(api_key=key) for key in keys.values())
        batch = await ended(design, await begin(design, line("a", body=body())))
        assert batch.output_file_id is not None
        for call in (press.files.retrieve, press.files.content, press.files.delete):
            for file_id in (batch.input_file_id, batch.output_file_id):
                with pytest.raises(openai.NotFoundError):
                    await call(file_id)
        for other in (press.batches.retrieve, press.batches.cancel):
            with pytest.raises(openai.NotFoundError, match=r"batch .* does not exist"):
                await other(batch.id)
        with pytest.raises(openai.NotFoundError, match="does not exist or has expired"):
            await press.batches.create(
                input_file_id=batch.input_file_id, endpoint=ENDPOINT, completion_window="24h"
            )
        assert (await press.files.list()).data == []
        assert (await press.batches.list()).data == []
        with pytest.raises(openai.AuthenticationError):
            await anonymous.files.list()


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"endpoint": "/v1/chat/completions"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"a": "b" * 513}}, "metadata.a"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, "output_expires_after.seconds"),
        ({"other": 1}, "other"),
    ],
)
async def test_what_a_batch_may_not_be_asked_is_named(
    tmp_path: Path, changes: dict[str, Any], param: str
) -> None:
    asked = {"input_file_id": "file-1", "endpoint": ENDPOINT, "completion_window": "24h", **changes}
    async with http(gateway(batches={"folder": str(tmp_path)})) as client:
        answer = await client.post("/v1/batches", json=asked)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("data", "with_file", "status", "param"),
    [
        ({"purpose": "batch"}, False, 400, "file"),
        ({}, True, 400, "purpose"),
        ({"purpose": "fine-tune"}, True, 400, "purpose"),
        ({"purpose": "batch", "other": "1"}, True, 400, "other"),
        ({"purpose": "batch", "expires_after[anchor]": "created_at"}, True, 400, "expires_after.seconds"),
        (
            {"purpose": "batch", "expires_after[anchor]": "now", "expires_after[seconds]": "3600"},
            True,
            400,
            "expires_after.anchor",
        ),
    ],
)
async def test_what_an_upload_lacks_is_named(
    tmp_path: Path, data: dict[str, str], with_file: bool, status: int, param: str
) -> None:
    files = {"file": ("a.jsonl", b"{}")} if with_file else None
    async with http(gateway(batches={"folder": str(tmp_path)})) as client:
        answer = await client.post("/v1/files", data=data, files=files)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


@pytest.mark.parametrize("size", [1025, 100_000])
async def test_a_file_over_the_limit_is_refused(tmp_path: Path, size: int) -> None:
    """Whether the form around it still fits or not."""
    config = {"folder": str(tmp_path), "max_file_bytes": 1024}
    async with http(gateway(batches=config)) as client:
        form: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": ("a", b"x" * size)}}
        answer = await client.post("/v1/files", **form)
        assert answer.status_code == 413
        assert (await client.get("/v1/files")).json()["data"] == []


async def test_limits_of_a_tenant(tmp_path: Path) -> None:
    config = {"folder": str(tmp_path), "max_open_per_tenant": 1, "max_bytes_per_tenant": 1024}
    client = official(gateway(batches=config))  # nothing works on batches: they stay open
    batch = await begin(client, line("a", body=body()))
    with pytest.raises(openai.RateLimitError, match="1 unfinished"):
        await client.batches.create(
            input_file_id=batch.input_file_id, endpoint=ENDPOINT, completion_window="24h"
        )
    with pytest.raises(openai.PermissionDeniedError, match="over 1024 bytes"):
        await client.files.create(file=("a", b"x" * 1000), purpose="batch")
    with pytest.raises(openai.ConflictError, match="is reading this file"):
        await client.files.delete(batch.input_file_id)


async def test_results_are_no_input(tmp_path: Path) -> None:
    async with serving(gateway(batches={"folder": str(tmp_path)})) as client:
        batch = await ended(client, await begin(client, line("a", body=body())))
        assert batch.output_file_id is not None
        with pytest.raises(openai.BadRequestError, match="purpose batch"):
            await client.batches.create(
                input_file_id=batch.output_file_id, endpoint=ENDPOINT, completion_window="24h"
            )


async def test_how_much_is_left_to_do_is_told(tmp_path: Path) -> None:
    told: asyncio.Queue[int] = asyncio.Queue()

    class Told(NoObserver):
        def batch_lines_left(self, count: int) -> None:
            told.put_nowait(count)

    async with serving(gateway(observer=Told(), batches={"folder": str(tmp_path)})):
        async with asyncio.timeout(5):
            assert await told.get() == 0


async def test_without_a_folder_there_are_no_batches() -> None:
    client = official(gateway())
    with pytest.raises(openai.NotFoundError, match=r"batches\.folder is not set"):
        await client.batches.list()
    with pytest.raises(openai.NotFoundError, match=r"batches\.folder"):
        await client.files.create(file=("a", b"x"), purpose="batch")

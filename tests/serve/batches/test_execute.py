import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from deployments import errors
from deployments.types import RenderRequest, RenderResult
from serve.batches import execute
from serve.batches.execute import Later, LineAnswer, LineExecutor
from serve.batches.records import Claim, Line
from tests.serve.gateways import Render, echo, gateway


def claim(claims: int = 1, **body: Any) -> Claim:
    text = json.dumps({"prompt": "a poster", "size": "16x16", **body})
    return Claim("batch_b", 0, "token", "design", "http://atelier", Line("a", text), claims, 3600)


def executor(tmp_path: Path, render: Render | None = None, **config: Any) -> LineExecutor:
    renders = {} if render is None else {"creative_highfidelity": render}
    of = gateway(renders=renders, batches={"folder": str(tmp_path)}, **config)
    return of._batch_executor()


def refusing(error: errors.RenderError) -> Render:
    async def render(request: RenderRequest) -> RenderResult:
        raise error

    return render


async def test_a_line_is_answered_as_the_endpoint_would(tmp_path: Path) -> None:
    seen: list[RenderRequest] = []

    async def render(request: RenderRequest) -> RenderResult:
        seen.append(request)
        return await echo("creative_highfidelity").render(request)

    answer = await executor(tmp_path, render).run(claim(atelier={"seed": 7, "priority": "interactive"}))
    assert isinstance(answer, LineAnswer)
    body = json.loads(answer.body)
    assert answer.status == 200
    assert body["data"][0]["b64_json"].startswith("iVBOR")
    assert body["atelier"]["request_id"] == "batch_req_b_0"
    assert body["atelier"]["images"][0]["seed"] == 7
    assert [each.priority.value for each in seen] == ["batch"]


async def test_an_image_answered_by_url_lives_as_long_as_the_results(tmp_path: Path) -> None:
    line = claim(response_format="url")
    answer = await executor(tmp_path, files={"url": f"file://{tmp_path}/images", "ttl_s": 1}).run(line)
    assert isinstance(answer, LineAnswer)
    body = json.loads(answer.body)
    assert body["data"][0]["url"].startswith("http://atelier/v1/images/files/")
    expires = int(body["data"][0]["url"].rsplit("/", 1)[-1].split("-")[0])
    assert expires - body["created"] >= 3599


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "dall-e-9"}, 404, "model_not_found"),
        ({"size": "9999x9999"}, 400, "invalid_size"),
        ({"prompt": " "}, 400, "empty_prompt"),
    ],
)
async def test_what_the_endpoint_would_refuse_is_the_answer(
    tmp_path: Path, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await executor(tmp_path).run(claim(**body))
    assert isinstance(answer, LineAnswer)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (status, code)


@pytest.mark.parametrize("claims", [1, 9])
async def test_a_busy_model_means_later_however_often(tmp_path: Path, claims: int) -> None:
    render = refusing(errors.CapacityRefused("full", 4.0))
    assert await executor(tmp_path, render).run(claim(claims)) == Later(4.0)


async def test_a_503_means_later_until_it_was_tried_enough(tmp_path: Path) -> None:
    render = refusing(errors.OutOfMemory("no memory"))
    assert await executor(tmp_path, render).run(claim(1)) == Later(1.0, counts=True)
    answer = await executor(tmp_path, render).run(claim(execute.MAX_TRIES))
    assert isinstance(answer, LineAnswer)
    assert answer.status == 503


async def test_an_unexpected_error_is_an_answer_without_its_text(tmp_path: Path) -> None:
    runs = executor(tmp_path)
    broken = Claim("batch_b", 0, "t", None, "http://atelier", Line("a", '{"secret": 1}'), 1, 3600)
    answer = await runs.run(broken)
    assert isinstance(answer, LineAnswer)
    assert answer.status == 500
    assert "secret" not in answer.body


async def test_while_others_wait_for_the_model_a_line_waits_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()
    order: list[str] = []

    async def render(request: RenderRequest) -> RenderResult:
        order.append(request.priority.value)
        await release.wait()
        return await echo("creative_highfidelity").render(request)

    models = {"creative_highfidelity": {"kind": "echo", "max_ongoing_requests": 1, "latency_ms": 500}}
    of = gateway(
        "model_routing: [{pattern: '.*', model: creative_highfidelity}]",
        models,
        {"creative_highfidelity": render},
        batches={"folder": str(tmp_path)},
    )
    runs = of._batch_executor()
    await of._fleet.poll(of._clients)
    callers = [
        asyncio.create_task(of.dispatcher.dispatch(runs._job(execute._request(claim()), claim())))
        for _ in range(2)
    ]
    await asyncio.sleep(0)
    monkeypatch.setattr(execute, "IDLE_LOOK_INTERVAL_S", 0.001)
    monkeypatch.setattr(execute, "IDLE_PATIENCE_S", 0.01)
    assert isinstance(await runs.run(claim()), Later)
    monkeypatch.setattr(execute, "IDLE_PATIENCE_S", 10)
    line = asyncio.create_task(runs.run(claim()))
    release.set()
    assert isinstance(await line, LineAnswer)
    await asyncio.gather(*callers)
    assert len(order) == 3


async def test_a_model_that_starts_with_its_first_request_gets_one(tmp_path: Path) -> None:
    autoscaling = {"min_replicas": 0, "max_replicas": 2}
    models = {"m": {"kind": "echo", "latency_ms": 50, "autoscaling": autoscaling}}
    of = gateway("model_routing: [{pattern: '.*', model: m}]", models, batches={"folder": str(tmp_path)})
    of._fleet._take("m", [], time.monotonic())  # no replica answered the poll
    assert isinstance(await of._batch_executor().run(claim()), LineAnswer)

import asyncio
import time
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployments import errors, telemetry
from deployments.fakes import EchoModel, EchoSpec
from deployments.metrics import ReplicaMetrics
from deployments.replica import ModelReplica
from deployments.starting import CannotStart
from deployments.telemetry import ProcessTelemetry
from deployments.types import Encoding, ModelLoad, PartialImage, RenderRequest, RenderResult


async def replica(**fields: Any) -> ModelReplica:
    made = ModelReplica.__new__(ModelReplica)
    spec = EchoSpec.model_validate({"kind": "echo", **fields})
    await ModelReplica.__init__(made, "echo", spec, ProcessTelemetry())  # type: ignore[misc]
    return made


def request(budget_s: float | None = None, **fields: Any) -> RenderRequest:
    deadline = None if budget_s is None else time.time() + budget_s
    return RenderRequest("r", "x", 8, 8, 1, deadline_unix_s=deadline, encoding=Encoding(), **fields)


async def test_an_image_in_time() -> None:
    result = await (await replica()).render(request(budget_s=30))
    assert result.receipt.model == "echo"


async def test_a_model_that_does_not_load_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def load(_: EchoModel) -> None:
        raise ValueError("the weights\ndo not fit")

    monkeypatch.setattr(EchoModel, "load", load)
    with pytest.raises(CannotStart) as caught:
        await replica()
    assert str(caught.value) == "the weights do not fit"
    assert caught.value.__suppress_context__  # what Ray Serve prints is no longer than it must be


async def test_what_is_too_late_is_refused_before_the_work() -> None:
    with pytest.raises(errors.DeadlineExceeded, match="before the work began"):
        await (await replica(fails_with="model_error")).render(request(budget_s=-1))


async def test_work_ends_at_the_deadline() -> None:
    late = await replica(fails_with="hang")
    with pytest.raises(errors.DeadlineExceeded, match="while the model was working"):
        await late.render(request(budget_s=0.02))
    assert late.load_report().running == 0


async def test_torch_s_out_of_memory_is_ours() -> None:
    with pytest.raises(errors.OutOfMemory, match="echo ran out of memory"):
        await (await replica(fails_with="torch_out_of_memory")).render(request())


async def test_a_failure_keeps_its_details_to_the_log() -> None:
    with pytest.raises(errors.ModelFailed) as caught:
        await (await replica(fails_with="model_error")).render(request())
    assert str(caught.value) == "model echo failed"
    assert caught.value.__cause__ is None


async def test_cancelling_ends_the_work() -> None:
    hanging = await replica(fails_with="hang")
    task = asyncio.create_task(hanging.render(request()))
    for _ in range(5):  # until it has reached the model
        await asyncio.sleep(0)
    assert hanging.load_report().running == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hanging.load_report().running == 0


async def test_a_stream_gives_previews_then_the_result() -> None:
    events = [event async for event in (await replica()).render_stream(request(partial_images=2))]
    assert [type(event) for event in events] == [PartialImage, PartialImage, RenderResult]


async def test_a_stream_that_fails_raises() -> None:
    events = (await replica(fails_with="torch_out_of_memory")).render_stream(request())
    with pytest.raises(errors.OutOfMemory):
        await anext(events)


async def test_ray_closes_the_model_with_its_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[EchoModel] = []

    async def close(model: EchoModel) -> None:
        closed.append(model)

    monkeypatch.setattr(EchoModel, "close", close)
    made = await replica()
    await made.__del__()  # type: ignore[attr-defined]
    assert len(closed) == 1
    assert not hasattr(ModelReplica, "__del__")  # the garbage collector could not await it


async def test_its_spans_belong_to_the_caller_s_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracer", provider.get_tracer("test"))
    caller = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    full = await replica(fails_with="capacity", fails_on="x")
    await (await replica()).render(request(trace=caller))
    with pytest.raises(errors.CapacityRefused):
        await full.render(request(trace=caller))
    spans = exporter.get_finished_spans()
    hops = [span for span in spans if span.name == telemetry.SPAN_REPLICA]
    queues = [span for span in spans if span.name == telemetry.SPAN_QUEUE]
    assert [span.parent and f"{span.parent.span_id:016x}" for span in hops] == ["b" * 16] * 2
    assert [span.parent for span in queues] == [span.get_span_context() for span in hops]
    outcomes = [span.attributes and span.attributes[telemetry.ATTR_OUTCOME] for span in hops]
    assert outcomes == ["ok", "refused_capacity"]
    assert not any(span.events for span in hops)  # no traceback leaves the process


async def test_what_it_holds_is_passed_on_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    passed_on: asyncio.Queue[ModelLoad] = asyncio.Queue()
    monkeypatch.setattr("deployments.replica.FLUSH_INTERVAL_S", 0)
    monkeypatch.setattr(ReplicaMetrics, "flush", lambda self, load: passed_on.put_nowait(load))
    busy = await replica(fails_with="hang")
    call = asyncio.create_task(busy.render(request()))
    while (await passed_on.get()).running == 0:
        pass
    call.cancel()
    await busy.__del__()  # type: ignore[attr-defined]
    assert busy._flushing.cancelling()


async def test_the_autoscaler_reads_the_work_that_waits_or_runs() -> None:
    busy = await replica(concurrency=2, latency_ms=5)
    calls = [asyncio.create_task(busy.render(request())) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    stats = busy.record_autoscaling_stats()
    assert stats["request_work_s"] == 0.0025
    # All of the one that waits, and of the two that run what is left of them.
    assert 0.0025 <= stats["work_s"] <= 0.0075
    await asyncio.gather(*calls)
    assert busy.record_autoscaling_stats() == {"work_s": 0.0, "request_work_s": 0.0025}

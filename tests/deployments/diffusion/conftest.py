"""Tiny pipelines of each layout, built once, models made of them, and what diffusers itself makes of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import pytest_asyncio
import torch

from deployments.diffusion.device import Share
from deployments.diffusion.loras import Loras
from deployments.diffusion.model import DiffusionModel
from deployments.diffusion.pipelines import PipelineSet, load_pipelines
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.stepwise import StepwiseDenoiser
from deployments.diffusion.tasks import Kind, Task
from deployments.diffusion.tiny import Layout, build_tiny
from deployments.types import Pixels, RenderRequest

SIZE = 64

MakeSpec = Callable[..., DiffusionSpec]
MakeModel = Callable[..., Any]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    built: dict[str, Path] = {}

    def folder(layout: Layout) -> Path:
        if layout not in built:
            built[layout] = build_tiny(layout, tmp_path_factory.mktemp("tiny") / layout)
        return built[layout]

    return folder  # type: ignore[return-value]


@pytest.fixture(scope="session")
def make_spec(tiny_folder: Callable[[str], Path]) -> Callable[..., DiffusionSpec]:
    def make(layout: str = "sd", **changes: Any) -> DiffusionSpec:
        defaults: dict[str, Any] = {"default_width": SIZE, "default_height": SIZE, "default_steps": 4}
        return DiffusionSpec(kind="diffusion", weights=str(tiny_folder(layout)), **{**defaults, **changes})

    return make


@pytest.fixture(scope="session")
def pipelines(make_spec: Callable[..., DiffusionSpec]) -> Callable[[str], PipelineSet]:
    loaded: dict[str, PipelineSet] = {}

    def get(layout: str) -> PipelineSet:
        if layout not in loaded:
            loaded[layout] = load_pipelines(make_spec(layout), Share("cpu"))
        return loaded[layout]

    return get


@pytest.fixture(scope="session")
def stepwise(pipelines: Callable[[str], PipelineSet]) -> Callable[[str], StepwiseDenoiser]:
    def get(layout: str) -> StepwiseDenoiser:
        loaded = pipelines(layout)
        return StepwiseDenoiser(loaded, Loras(loaded.base, None, {}))

    return get


@pytest.fixture(params=get_args(Layout))
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def task(seed: int = 0, kind: Kind = Kind.TEXT_TO_IMAGE, **changes: Any) -> Task:
    values: dict[str, Any] = {
        "prompt": f"a red fox number {seed}",
        "negative_prompt": "blurry",
        "width": SIZE,
        "height": SIZE,
        "steps": 3,
        "guidance_scale": 5.0,
        "seed": seed,
    }
    if kind is not Kind.TEXT_TO_IMAGE:
        values |= {"image": picture(seed), "strength": 0.7}
    if kind is Kind.INPAINT:
        values["mask"] = half_mask()
    return Task(kind=kind, **{**values, **changes})


def picture(seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def half_mask() -> Pixels:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[:, SIZE // 2 :] = 255
    return mask


def diffusers_own(pipelines: PipelineSet, wanted: Task) -> Pixels:
    """What the library's pipeline makes of the same settings, called as anybody would call it."""
    pipeline = pipelines.for_kind(wanted.kind)
    return np.array(pipeline(**pipelines.arguments(wanted)).images[0].convert("RGB"))


def run_alone(denoiser: Any, wanted: Task, width: int | None = None) -> Pixels:
    return run_together(denoiser, [wanted], width)[0]


def run_together(denoiser: Any, tasks: list[Task], width: int | None = None) -> list[Pixels]:
    """All in one batch, each leaving when its steps are done."""
    states = [denoiser.prepare(one) for one in tasks]
    try:
        while going := [state for state in states if denoiser.steps_left(state)]:
            for failure in denoiser.step(going, width):
                if failure is not None:
                    raise failure
        return [denoiser.decode(state, frugal=False) for state in states]
    finally:
        for state in states:
            denoiser.discard(state)


def difference(one: Pixels, other: Pixels) -> int:
    """The largest, of 255."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest_asyncio.fixture
async def make_model(make_spec: MakeSpec) -> AsyncIterator[MakeModel]:
    models: list[DiffusionModel] = []

    async def make(layout: str = "sd", **changes: Any) -> DiffusionModel:
        model = DiffusionModel("tiny", make_spec(layout, **changes))
        models.append(model)
        await model.load()
        return model

    yield make
    for model in models:
        await model.close()


def request(seed: int = 0, **changes: Any) -> RenderRequest:
    values: dict[str, Any] = {
        "request_id": f"r{seed}",
        "prompt": f"a red fox number {seed}",
        "negative_prompt": "blurry",
        "width": SIZE,
        "height": SIZE,
        "seed": seed,
        "steps": 3,
    }
    return RenderRequest(**{**values, **changes})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the engine tells no event
            await asyncio.sleep(0)

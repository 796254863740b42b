"""Stops a diffusers pipeline at its denoiser, so that an engine can make that call for many at once.

Each request runs the pipeline's own `__call__`, on a shallow copy that has a scheduler of its own and
stand-ins where the denoiser and the autoencoder are: the loop, the guidance and the scaling stay the
library's code. Knows which attributes a pipeline has, and no pipeline by name.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from deployments.diffusion.collate import Call
from deployments.diffusion.pausable import Pause
from deployments.diffusion.sidework import SideWork

OFFLOADED_METHODS = ("encode_prompt", "run_safety_checker")


def denoiser_name(pipeline: Any) -> str | None:
    """The attribute that holds the pipeline's denoiser, None if it has none we know."""
    for name in ("unet", "transformer"):
        if getattr(pipeline, name, None) is not None:
            return name
    return None


def cut(pipeline: Any, pause: Pause) -> Any:
    """A copy of `pipeline` for one request: hands each Call and SideWork to `pause`, takes the answer."""
    one = copy.copy(pipeline)
    own = vars(one)
    name = denoiser_name(pipeline)
    assert name is not None
    own[name] = _DenoiserCut(getattr(pipeline, name), pause)
    own["scheduler"] = copy.deepcopy(pipeline.scheduler)
    if getattr(pipeline, "vae", None) is not None:
        own["vae"] = _AutoencoderCut(pipeline.vae, pause)
    for method in OFFLOADED_METHODS:
        if hasattr(pipeline, method):
            own[method] = _aside(getattr(one, method), pause)
    return one


def _aside(method: Callable[..., Any], pause: Pause) -> Callable[..., Any]:
    @functools.wraps(method)
    def ask(*args: Any, **kwargs: Any) -> Any:
        return pause(SideWork(functools.partial(method, *args, **kwargs)))

    return ask


class _DenoiserCut:
    """Stands where the denoiser stands; a call pauses the pipeline. All else is the module's."""

    def __init__(self, module: torch.nn.Module, pause: Pause) -> None:
        self._module = module
        self._pause = pause

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._pause(call_of(self._module, args, kwargs))

    def cache_context(self, name: str) -> AbstractContextManager[None]:
        """Caches between steps belong to one request; the shared module keeps none."""
        return nullcontext()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def save_memory(cut_pipeline: Any) -> None:
    """From now on the autoencoder works in tiles, for this request alone."""
    vae = vars(cut_pipeline).get("vae")
    if isinstance(vae, _AutoencoderCut):
        vae.tile()


class _AutoencoderCut:
    """Stands where the VAE stands: its calls run aside, and pipelines cannot change its precision."""

    def __init__(self, module: torch.nn.Module, pause: Pause) -> None:
        self._module: Any = module
        # Which module works is looked up when the call is made, which may be after `tile`.
        self.encode = _aside(lambda *args, **kwargs: self._module.encode(*args, **kwargs), pause)
        self.decode = _aside(lambda *args, **kwargs: self._module.decode(*args, **kwargs), pause)

    def tile(self) -> None:
        """Less memory, seams of other rounding. The weights are shared, the switch is not: another request
        may be encoding an image on the module itself."""
        if hasattr(self._module, "enable_tiling"):
            self._module = copy.copy(self._module)
            self._module.enable_tiling()

    def to(self, *args: Any, **kwargs: Any) -> "_AutoencoderCut":
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def call_of(module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
    """The call with every argument by its name."""
    module_class: Any = type(module)
    arguments = dict(_signature_of(module_class).bind(module, *args, **kwargs).arguments)
    del arguments["self"]
    sample = next(iter(arguments.values()))
    return Call(arguments, sample.shape[0])


@functools.cache
def _signature_of(module_class: Any) -> inspect.Signature:
    return inspect.signature(module_class.forward)

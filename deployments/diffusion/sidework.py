"""Heavy work that is no denoiser call: text encoding and the autoencoder.

Runs on the thread that drives the request. On a GPU it takes a stream of its own, so that denoising
steps do not queue behind it on the device.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

_streams = threading.local()


@dataclass(frozen=True, slots=True)
class SideWork:
    work: Callable[[], Any]

    def run(self) -> Any:
        """The result, complete on the device when this returns."""
        with torch.no_grad():
            if not torch.cuda.is_available():
                return self.work()
            return self._run_on_side_stream()

    def _run_on_side_stream(self) -> Any:
        if not hasattr(_streams, "side"):
            _streams.side = torch.cuda.Stream()
        side, main = _streams.side, torch.cuda.current_stream()
        side.wait_stream(main)
        with torch.cuda.stream(side):
            result = self.work()
        side.synchronize()
        # The result lives in the side stream's memory and will be read on the main one: the allocator
        # must not hand it out again before those reads are done.
        for tensor in tensors_in(result):
            if tensor.is_cuda:
                tensor.record_stream(main)
        return result


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor in nested tuples, lists, mappings and plain objects (a distribution, say)."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)
    elif hasattr(value, "__dict__"):
        for part in vars(value).values():
            if isinstance(part, torch.Tensor):
                yield part

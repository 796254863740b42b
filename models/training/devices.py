"""Where training runs: a GPU if there is one, else the CPU; in bfloat16 where the processor has it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn


def prepare() -> torch.device:
    """The device to train on; any GPU before the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> AbstractContextManager[None]:
    """bfloat16 on a GPU and on processors with avx512_bf16; else the float32 of the weights."""
    native = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    casting: AbstractContextManager[None] = torch.autocast(
        device.type,
        torch.bfloat16,
        enabled=native,
        cache_enabled=device.type == "cuda",  # the cache is shared by threads, their graphs are not
    )
    return casting


class SplitGradients:
    """Gradients of a batch computed in parts, one thread a part; the parts meet only at its end.

    On a shared CPU this outruns threads inside each operation, where one that lost its core stops the other.
    """

    def __init__(self, model: nn.Module, device: torch.device, workers: int = 2) -> None:
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._workers = workers if device.type == "cpu" else 1
        self.pool = ThreadPoolExecutor(self._workers)
        if device.type == "cpu":
            torch.set_num_threads(1)

    def __call__(self, size: int, loss_of: Callable[[slice], Tensor]) -> float:
        """Adds the gradient of the mean of `loss_of` over equal parts of 0..size; returns that mean."""
        share = size // self._workers
        parts = [slice(begin, begin + share) for begin in range(0, share * self._workers, share)]

        def part_of(part: slice) -> tuple[Tensor, tuple[Tensor, ...]]:
            loss = loss_of(part) / self._workers
            return loss.detach(), torch.autograd.grad(loss, self._parameters)

        done = list(self.pool.map(part_of, parts))
        for parameter, *grads in zip(self._parameters, *(grads for _, grads in done), strict=True):
            parameter.grad = sum(grads[1:], start=grads[0])
        return float(sum(loss.item() for loss, _ in done))

"""Muon: momentum whose update is made orthogonal; Adam for what is no matrix.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon, with the step size of Liu et al. 2025
(arXiv:2502.16982), so that one learning rate serves both parts. Convolutions count as matrices
[out, in * height * width].
"""

from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()  # type: ignore[untyped-decorator]
def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrix with singular values of about 1, by quintic Newton-Schulz steps in bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    tall = x.size(0) > x.size(1)
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):  # type: ignore[misc]
    """For parameters of two or more dimensions only."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        pool: Executor | None = None,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})
        self._pool = pool

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            updates = [self._nesterov(parameter, group["momentum"]).flatten(1) for parameter in moved]
            made = (self._pool.map if self._pool else map)(orthogonal, updates)
            for parameter, update in zip(moved, made, strict=True):
                size = group["lr"] * 0.2 * max(update.shape) ** 0.5
                parameter.add_(update.view(parameter.shape), alpha=-size)

    def _nesterov(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        average: Tensor = state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(average, momentum)


class MuonWithAdam:
    """Muon for matrices of at least `MIN_SIDE` rows and columns, Adam for embeddings and the rest."""

    MIN_SIDE = 16

    def __init__(self, model: nn.Module, lr: float, pool: Executor | None = None) -> None:
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for module in model.modules():
            for parameter in module.parameters(recurse=False):
                wide = parameter.ndim >= 2 and min(parameter.flatten(1).shape) >= self.MIN_SIDE
                by_muon = wide and not isinstance(module, nn.Embedding)
                if parameter.requires_grad:
                    (matrices if by_muon else others).append(parameter)
        self._parts: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices, lr=lr, pool=pool),
            torch.optim.Adam(others, lr=lr, betas=(0.9, 0.98), fused=True),
        )

    def set_rate(self, lr: float) -> None:
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = lr

    def step(self) -> None:
        """Moves the parameters and clears their gradients."""
        for part in self._parts:
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        return {str(index): part.state_dict() for index, part in enumerate(self._parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for index, part in enumerate(self._parts):
            part.load_state_dict(state[str(index)])

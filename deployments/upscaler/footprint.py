"""What a computation on torch holds at its peak, measured by running it once."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.weak import WeakIdKeyDictionary


class LiveTensors(TorchDispatchMode):  # type: ignore[misc]
    """Within it, `peak_bytes` is the most that tensors made since then have held together.

    Tensors of before do not count, nor do the scratch buffers of kernels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._bytes = 0
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._count, result)
        return result

    def _count(self, tensor: Any) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        self._known[storage] = None
        size_bytes = storage.nbytes()
        weakref.finalize(storage, self._freed, size_bytes)
        self._bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self._bytes)

    def _freed(self, size_bytes: int) -> None:
        self._bytes -= size_bytes

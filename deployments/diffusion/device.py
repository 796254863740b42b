"""A replica's share of its device: enforced, and checked against the weights before they move there."""

from dataclasses import dataclass
from typing import Any

import torch

WORKING_RATIO = 0.1
"""Part of the share that must stay free of weights: activations of one small image need as much."""


@dataclass(frozen=True, slots=True)
class Share:
    """`limit_bytes` is 0 where nothing limits: on a CPU without `memory_bytes`."""

    device: str
    limit_bytes: int = 0

    @property
    def name(self) -> str:
        """Of the GPU's model, or of the CPU's vector instructions: what decides how sums are rounded."""
        if self.device == "cuda":
            return str(torch.cuda.get_device_name())
        return f"cpu ({torch.backends.cpu.get_cpu_capability()})"

    def peak_bytes(self) -> int:
        """The most that this process has held so far."""
        return int(torch.cuda.max_memory_reserved()) if self.device == "cuda" else 0

    def used_bytes(self) -> int:
        return int(torch.cuda.memory_reserved()) if self.device == "cuda" else 0


def take_share(num_gpus: float, memory_bytes: int = 0) -> Share:
    """The device for `num_gpus`, with torch's allocator bound to that fraction of its memory.

    Beyond it an allocation fails here, as this replica's own error, whatever its neighbours hold. On a
    CPU the share is `memory_bytes` of the host, 0 for no limit; only the check of the weights heeds it.
    Raises ValueError when a GPU is asked for and none is visible.
    """
    if num_gpus == 0:
        return Share("cpu", memory_bytes)
    if not torch.cuda.is_available():
        raise ValueError(
            f"num_gpus is {num_gpus:g} but this process sees no GPU: set num_gpus to 0 to run on the CPU, "
            "or check the driver and the CUDA build of torch"
        )
    fraction = min(1.0, num_gpus)
    if fraction < 1:
        torch.cuda.set_per_process_memory_fraction(fraction)
    total_bytes = torch.cuda.get_device_properties(0).total_memory
    return Share("cuda", int(total_bytes * fraction))


def weights_bytes(pipeline: Any) -> int:
    """Bytes of all parameters and buffers of a pipeline's modules."""
    modules = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    tensors = {
        id(tensor): tensor.numel() * tensor.element_size()
        for module in modules
        for tensor in (*module.parameters(), *module.buffers())
    }
    return sum(tensors.values())


def check_fit(needed_bytes: int, share: Share) -> None:
    """Raises ValueError, with the numbers and what to do, if the weights leave no room to work."""
    room_bytes = int(share.limit_bytes * (1 - WORKING_RATIO))
    if not share.limit_bytes or needed_bytes <= room_bytes:
        return
    on_host = share.device == "cpu"
    of = "host's memory (memory_bytes)" if on_host else "GPU"
    advice = (
        "raise memory_bytes, or choose a smaller dtype"
        if on_host
        else "raise num_gpus, choose a smaller dtype, or use a larger GPU"
    )
    raise ValueError(
        f"the weights take {_size(needed_bytes)}, and the replica's share of the {of} is "
        f"{_size(share.limit_bytes)} of which {WORKING_RATIO:.0%} is kept for the work: {advice}"
    )


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GiB" if size_bytes >= 2**30 else f"{size_bytes / 2**20:.1f} MiB"

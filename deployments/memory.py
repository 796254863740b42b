"""Tells running out of memory from other failures. Imports torch only where something else has."""

import sys

_MESSAGES = (
    "can't allocate memory",  # torch's CPU allocator
    "CUDA error: out of memory",  # the driver, outside torch's allocator
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(exc: BaseException) -> bool:
    """Whether `exc` says that memory, of the host or of the accelerator, did not suffice."""
    if isinstance(exc, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(exc, torch.OutOfMemoryError):
        return True
    return isinstance(exc, RuntimeError) and any(message in str(exc) for message in _MESSAGES)

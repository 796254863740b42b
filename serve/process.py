"""What a router asks of its process: of the garbage collector and of the allocator."""

import ctypes
import gc
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Of glibc's mallopt(3)."""
_OWN_MAPPING_BYTES: Final = 1 << 20
_KEPT_BYTES: Final = 8 << 20


def spare_collections() -> None:
    """What was loaded until now lives as long as the process. Looking through it again, in every full
    collection, would stop all requests for some 50 ms."""
    gc.collect()
    gc.freeze()


def return_large_buffers() -> bool:
    """Memory of 1 MiB and more goes back to the system when it is freed; False where there is no glibc.

    By itself glibc learns from the first large pictures to keep up to 32 MB of them, in each thread.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))

import gc
import platform

import pytest

from serve.process import return_large_buffers, spare_collections


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_glibc_takes_the_setting() -> None:
    assert return_large_buffers()


def test_what_was_there_is_not_collected_again() -> None:
    spare_collections()
    try:
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()

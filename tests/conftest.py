"""Ends the test process without tearing the interpreter down where native threads would crash it."""

import os
import sys
import threading

import pytest

_NATIVE_LOOPS = ("_run_router_event_loop", "_poll_wrapper")
"""Ray Serve's handles and gRPC leave these daemon threads running after `ray.shutdown()`. While Python
finalizes, gRPC's poller may still call into it: a segmentation fault after the last test has passed."""
_exit_status = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_exit_status] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    exit_status = config.stash.get(_exit_status, None)
    if exit_status is None or not any(_is_native_loop(thread) for thread in threading.enumerate()):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_status)


def _is_native_loop(thread: threading.Thread) -> bool:
    return thread.daemon and any(name in thread.name for name in _NATIVE_LOOPS)

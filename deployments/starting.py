"""Why a model cannot start: one line from its replica, found again in what Ray Serve makes of it.

Of a replica that does not start Ray Serve makes the whole traceback, with pids and addresses, the message
of its deployment. Operators meet that message in many places; the line is all that they need.
"""

import re

from deployments.memory import is_out_of_memory


class CannotStart(Exception):
    """The message is one line that says what is wrong. Which model it is of, whoever shows it knows."""


_IN_TRACEBACK = re.compile(rf"\b{CannotStart.__name__}: (.+)")


def cannot_start(error: Exception) -> CannotStart:
    """`error` is what loading the model raised. A ValueError is taken as our own advice to whoever wrote the
    config; of anything else the type is told too."""
    text = " ".join(str(error).split())
    if is_out_of_memory(error):
        reason = (
            "loading it ran out of memory: something beside it holds more than its share of the device, or "
            f"num_gpus is too small ({type(error).__name__}: {text})"
        )
    elif isinstance(error, ValueError):
        reason = text
    else:
        reason = f"{type(error).__name__}: {text}"
    return CannotStart(reason)


def brief_reason(message: str) -> str:
    """The line of the last CannotStart in a message of Ray Serve's, or the message as it is."""
    found = _IN_TRACEBACK.findall(message)
    return found[-1].strip() if found else message

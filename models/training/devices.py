"""Where training runs: a GPU if there is one, else the CPU; in bfloat16 where the processor has it."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch


def prepare() -> torch.device:
    """The device to train on; any GPU before the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> AbstractContextManager[None]:
    """bfloat16 on a GPU and on processors with avx512_bf16; else the float32 of the weights."""
    native = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=native)


class ThreadChoice:
    """Keeps the number of CPU threads at which steps are fastest now.

    On a shared machine two threads that wait for each other are slower than one, and which is better changes
    by the minute: every `EVERY` steps the other number is tried for `TRIAL` steps and the faster one kept.
    """

    EVERY = 60
    TRIAL = 3

    def __init__(self, most: int | None = None, clock: Callable[[], float] = time.perf_counter) -> None:
        most = most or torch.get_num_threads()
        self._choices = sorted({1, most})
        self._step = 0
        self._took: list[list[float]] = [[] for _ in self._choices]
        self._current = len(self._choices) - 1
        self._clock = clock
        self._begun = clock()
        torch.set_num_threads(self._choices[self._current])

    def step_done(self) -> None:
        """Call after every step."""
        now = self._clock()
        self._took[self._current].append(now - self._begun)
        self._begun = now
        self._step += 1
        phase = self._step % self.EVERY
        if len(self._choices) > 1 and phase in (self.TRIAL, 2 * self.TRIAL):
            if phase == 2 * self.TRIAL:
                medians = [sorted(times)[len(times) // 2] for times in self._took]
                self._current = medians.index(min(medians))
            else:
                self._current = 1 - self._current
                self._took[self._current].clear()
            torch.set_num_threads(self._choices[self._current])
        elif phase == 0:
            self._took[self._current].clear()

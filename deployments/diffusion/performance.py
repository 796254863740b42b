"""One request's run of a pipeline: where it stands, what it wants next. Shared by all ways of driving it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deployments.diffusion.collate import Call
from deployments.diffusion.pausable import Pausable, Paused, Raised, Returned
from deployments.diffusion.previews import Watch
from deployments.diffusion.sidework import SideWork
from deployments.diffusion.tasks import Task
from deployments.types import Pixels


@dataclass(frozen=True, slots=True)
class StepEnd:
    """An uncut pipeline has done one of its steps."""


@dataclass(slots=True)
class Performance:
    """`call` is what the pipeline wants of the denoiser, `aside` what it wants done beside the loop.

    With neither, it has returned `image`, raised `error`, or stands at a StepEnd. `steps_done` counts
    denoiser calls, or steps of an uncut pipeline.
    """

    task: Task
    script: Pausable[Any]
    pipeline: Any = None
    watch: Watch | None = None
    call: Call | None = None
    aside: SideWork | None = None
    image: Any = None
    error: BaseException | None = None
    steps_done: int = 0

    def arrive(self) -> None:
        """Waits until the pipeline stops again. Raises what it raised."""
        match self.script.wait():
            case Paused(wanted=Call() as call):
                self.call = call
            case Paused(wanted=SideWork() as aside):
                self.aside = aside
            case Paused():
                pass
            case Returned(value=image):
                self.image = image
            case Raised(error=error):
                self.error = error
                raise error

    def do_aside(self) -> None:
        """Does what the pipeline waits for, and waits for what it wants next.

        If the work fails it stays wanted, so that it can be tried again.
        """
        if self.error is not None:
            raise self.error
        while self.aside is not None:
            result = self.aside.run()
            self.aside = None
            self.script.resume(result)
            self.arrive()

    def pixels(self) -> Pixels:
        return np.array(self.image.convert("RGB"))

    def planned_steps(self) -> int:
        """Steps of the schedule; before the pipeline has set it, what the task lets expect."""
        return int(getattr(self.pipeline, "num_timesteps", None) or self.task.expected_steps)

    def discard(self) -> None:
        self.script.abandon()
        self.pipeline = self.watch = self.call = self.aside = None

"""How long a batch of images takes on one type of GPU: fixed + each * batch, as measured or published."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageTimes:
    """Seconds for whole images, all their steps together. A batch of b keeps the GPU busy for
    `fixed_s + b * (each_s + beside_s)`; `beside_s` is the work outside the batch: encoding the prompt,
    decoding the image. `max_batch` is what fits into memory."""

    fixed_s: float
    each_s: float
    beside_s: float = 0.0
    max_batch: int = 1

    def latency_s(self, batch: int) -> float:
        """From the start of a batch to an image of it."""
        return self.fixed_s + batch * self.each_s + self.beside_s

    def gpu_s_per_image(self, batch: int) -> float:
        return self.fixed_s / batch + self.each_s + self.beside_s

    def largest_batch(self, latency_s: float) -> int:
        """That takes no longer; 0 if not even one image does."""
        return bisect_right(range(1, self.max_batch + 1), latency_s + 1e-9, key=self.latency_s)


def fitted(batch_s: Mapping[int, float]) -> ImageTimes:
    """From seconds by batch size: least squares of relative errors, both parts at least 0.

    Relative, so that a batch of 32 does not outweigh the single image that most requests are.
    """
    if len(batch_s) == 1:
        ((batch, seconds),) = batch_s.items()
        return ImageTimes(0.0, seconds / batch, max_batch=batch)
    fixed_s, each_s = _weighted_line(batch_s)
    if fixed_s < 0:
        return ImageTimes(0.0, _slope_through_zero(batch_s), max_batch=max(batch_s))
    return ImageTimes(fixed_s, max(each_s, 0.0), max_batch=max(batch_s))


def _weighted_line(batch_s: Mapping[int, float]) -> tuple[float, float]:
    weights = {batch: 1 / seconds**2 for batch, seconds in batch_s.items()}
    total = sum(weights.values())
    mean_batch = sum(weights[batch] * batch for batch in batch_s) / total
    mean_s = sum(weights[batch] * seconds for batch, seconds in batch_s.items()) / total
    spread = sum(weights[batch] * (batch - mean_batch) ** 2 for batch in batch_s)
    joint = sum(
        weights[batch] * (batch - mean_batch) * (seconds - mean_s) for batch, seconds in batch_s.items()
    )
    each_s = joint / spread
    return mean_s - each_s * mean_batch, each_s


def _slope_through_zero(batch_s: Mapping[int, float]) -> float:
    ratios = [batch / seconds for batch, seconds in batch_s.items()]
    return sum(ratios) / sum(ratio**2 for ratio in ratios)

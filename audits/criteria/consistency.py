"""Are the pixels the same each time, and the same beside others as alone? Over every answer of a question.

SSIM: Wang, Bovik, Sheikh, Simoncelli 2004. FLIP: Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström,
Fairchild 2020, of low dynamic range, for a viewer who sees 67 pixels in a degree.
"""

from collections.abc import Callable, Sequence

import numpy as np

from audits.criteria.subject import Criterion, Measured, Picture, Subject, on_white

_SSIM_WINDOW_PX = 7


def max_difference(one: Picture, other: Picture) -> float:
    """The largest of any channel of any pixel, alpha included, 0 to 255; 255 for pictures of other sizes."""
    if one.pixels.shape != other.pixels.shape:
        return 255.0
    return float(np.abs(one.pixels.astype(np.int16) - other.pixels).max())


def structural_similarity(one: Picture, other: Picture) -> float:
    """Mean SSIM of the pictures on white, 1 for equal ones, 0 for pictures of other sizes."""
    from skimage.metrics import structural_similarity as ssim

    if one.pixels.shape != other.pixels.shape:
        return 0.0
    height, width = one.pixels.shape[:2]
    window = min(_SSIM_WINDOW_PX, *(side - (side + 1) % 2 for side in (height, width)))
    if window < 3:
        return float(np.array_equal(one.pixels, other.pixels))
    return float(ssim(on_white(one.pixels), on_white(other.pixels), channel_axis=2, win_size=window))


def flip(one: Picture, other: Picture) -> float:
    """Mean LDR-FLIP of the pictures on white, 0 for equal ones, 1 for pictures of other sizes."""
    from flip_evaluator import evaluate

    if one.pixels.shape != other.pixels.shape:
        return 1.0
    shown = [np.ascontiguousarray(on_white(each.pixels), np.float32) / 255 for each in (one, other)]
    _, mean, _ = evaluate(shown[0], shown[1], "LDR", applyMagma=False)
    return float(mean)


def _worst(
    compare: Callable[[Picture, Picture], float], pick: Callable[[Sequence[float]], float]
) -> Callable[[Subject], Measured | None]:
    def measure(subject: Subject) -> Measured | None:
        others = subject.others()
        if not others:
            return None
        values = [compare(subject.first, each) for _, each in others]
        worst = pick(values)
        name = others[values.index(worst)][0]
        return Measured(worst, "" if worst == compare(subject.first, subject.first) else f"{name} differs")

    return measure


def _same(subject: Subject) -> Measured | None:
    """Of the repeats."""
    return _equal(subject, [(name, each) for name, each in subject.others() if each is not subject.alone])


def _same_under_load(subject: Subject) -> Measured | None:
    """Every answer that was asked for beside others equals the one that was asked for alone."""
    if subject.alone is None:
        return None
    unequal = [
        number
        for number, each in enumerate(subject.pictures)
        if not np.array_equal(each.pixels, subject.alone.pixels)
    ]
    count = len(subject.pictures)
    note = f"{len(unequal)} of {count} made beside others differ from the one made alone" if unequal else ""
    return Measured(1 - len(unequal) / count, note)


def _equal(subject: Subject, others: Sequence[tuple[str, Picture]]) -> Measured | None:
    if not others:
        return None
    unequal = [name for name, each in others if not np.array_equal(subject.first.pixels, each.pixels)]
    return Measured(1 - len(unequal) / len(others), f"differs: {', '.join(unequal)}" if unequal else "")


CRITERIA = (
    Criterion("same_pixels", "share of repeats", _same, least=1.0, calls_for_fix=False),
    Criterion("same_pixels_under_load", "share of answers", _same_under_load, least=1.0, calls_for_fix=False),
    Criterion("max_difference", "of 255", _worst(max_difference, max), most=0.0, calls_for_fix=False),
    Criterion("ssim", "1 for equal", _worst(structural_similarity, min), least=0.99, calls_for_fix=False),
    Criterion("flip", "0 for equal", _worst(flip, max), most=0.01, calls_for_fix=False),
)

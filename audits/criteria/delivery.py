"""What came over the wire: size, weight, time, GPU seconds, cost, and whether somebody else stood in.

Times and costs take the worst and the mean of all answers of a question. They say nothing about a picture's
looks; p50 and p95 over many questions are the report's.
"""

from statistics import fmean

from audits.criteria.subject import Criterion, Measured, Subject


def _size(subject: Subject) -> Measured | None:
    if subject.size is None:
        return None
    height, width = subject.first.pixels.shape[:2]
    return Measured(float((width, height) == subject.size), f"{width}x{height}")


def _weight(subject: Subject) -> Measured:
    return Measured(float(max(each.file_bytes for each in subject.pictures)))


def _latency(subject: Subject) -> Measured:
    return Measured(max(each.latency_ms for each in subject.pictures))


def _gpu(subject: Subject) -> Measured:
    return Measured(fmean(each.gpu_s for each in subject.pictures))


def _cost(subject: Subject) -> Measured:
    return Measured(fmean(each.cost_usd for each in subject.pictures))


def _substituted(subject: Subject) -> Measured:
    return Measured(fmean(each.substituted for each in subject.pictures))


CRITERIA = (
    Criterion("size_as_asked", "1 or 0", _size, least=1.0),
    Criterion("file_bytes", "bytes", _weight, most=1_000_000, calls_for_fix=False),
    Criterion("latency_ms", "ms", _latency, most=60_000, calls_for_fix=False),
    Criterion("gpu_s", "GPU seconds", _gpu, most=60.0, calls_for_fix=False),
    Criterion("cost_usd", "USD", _cost, most=1.0, calls_for_fix=False),
    Criterion("substituted", "share of answers", _substituted, most=0.0, calls_for_fix=False),
)

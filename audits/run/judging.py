"""From a run's answers to its evidence: pictures decoded, every criterion measured, thresholds applied.

A function of the audit and the answers on the disk: judging again gives the same. Asks nothing of anybody.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image, UnidentifiedImageError

from audits.criteria.registry import CriterionError, criteria
from audits.criteria.subject import Criterion as Measure
from audits.criteria.subject import Picture, Subject
from audits.evidence import Criterion, Evidence, Reading, Sample
from audits.run.plan import Cell, cells
from audits.run.records import OK, Answer
from audits.run.spec import AssetSpec, AuditError, AuditSpec, CriterionSpec, PromptSpec

EVERY_REPEAT = "every_repeat_answered"
"""A criterion of every audit that asks more than once."""

Group = tuple[str, str]
"""Question and candidate."""


def check_criteria(spec: AuditSpec) -> Mapping[str, Measure]:
    """The criteria that there are. Raises AuditError for one that is asked for and is not among them."""
    try:
        known = criteria()
    except CriterionError as error:
        raise AuditError(str(error)) from None
    for asset, asset_spec in spec.assets.items():
        for name in asset_spec.criteria:
            if name not in known:
                listed = ", ".join(known)
                raise AuditError(f"assets.{asset}.criteria: there is no {name!r}; there are {listed}")
    return known


def judge(
    spec: AuditSpec,
    folder: Path,
    answers: Mapping[str, Answer],
    *,
    target: str,
    started_unix_s: float,
    measured_by: Mapping[str, str],
    progress: Callable[[int], None] = lambda done: None,
) -> Evidence:
    """Raises AuditError for an unknown criterion, or when an answer is missing. `measured_by` are packages
    with their versions."""
    known = check_criteria(spec)
    groups: dict[Group, list[Cell]] = {}
    for cell in cells(spec):
        if cell.id not in answers:
            raise AuditError(f"{cell.id} has no answer yet: run the audit again to go on")
        groups.setdefault((cell.question, cell.candidate), []).append(cell)
    # Two threads: decoding and recognition leave the interpreter, and more would not fit a small machine.
    with ThreadPoolExecutor(2, thread_name_prefix="judge") as pool:
        samples = []
        judged = pool.map(lambda group: _sample(spec, folder, group, answers, known), groups.values())
        for sample in judged:
            samples.append(sample)
            progress(len(samples))
    return Evidence(
        name=spec.name,
        target=target,
        started_unix_s=started_unix_s,
        criteria={asset: _criteria(spec, each, known) for asset, each in spec.assets.items()},
        samples=tuple(samples),
        rates=spec.rates.rates(),
        versions={**measured_by, **_versions(answers.values())},
    )


def decode(image: bytes) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], bool] | None:
    """RGBA pixels, and whether the file has an alpha channel; None for what is no picture."""
    try:
        with Image.open(io.BytesIO(image)) as opened:
            has_alpha = "A" in opened.getbands() or "transparency" in opened.info
            return np.asarray(opened.convert("RGBA")), has_alpha
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


def _sample(
    spec: AuditSpec,
    folder: Path,
    group: Sequence[Cell],
    answers: Mapping[str, Answer],
    known: Mapping[str, Measure],
) -> Sample:
    first = group[0]
    asset = spec.assets[first.asset]
    prompt = next(each for each in asset.prompts if each.id == first.prompt)
    found = [answers[cell.id] for cell in group]
    head = found[0]
    pictures = [_picture(folder, each) for each in found]
    shown = pictures[0]
    error = None if shown is not None else _why_none(head)
    readings: tuple[Reading, ...] = ()
    if shown is not None:
        subject = _subject(asset, prompt, group, pictures)
        readings = tuple(_readings(asset, subject, known)) + _answered(found)
    return Sample(
        id=f"{first.question}/{first.candidate}",
        asset=first.asset,
        variant=first.candidate,
        question=first.question,
        prompt=prompt.prompt,
        seed=first.seed,
        picture=folder / head.picture if shown is not None and head.picture else None,
        readings=readings,
        latency_ms=head.latency_ms if shown is not None else None,
        gpu_s=fmean(each.gpu_s for each in found),
        cost_usd=fmean(each.cost_usd for each in found),
        substituted=any(each.substituted for each in found),
        models=head.models,
        steps=head.steps,
        receipt=head.receipt,
        error=error,
    )


def _picture(folder: Path, answer: Answer) -> Picture | None:
    if answer.picture is None:
        return None
    image = (folder / answer.picture).read_bytes()
    decoded = decode(image)
    if decoded is None:
        return None
    return Picture(
        decoded[0],
        decoded[1],
        len(image),
        answer.latency_ms,
        answer.gpu_s,
        answer.cost_usd,
        answer.substituted,
    )


def _subject(
    asset: AssetSpec, prompt: PromptSpec, group: Sequence[Cell], pictures: Sequence[Picture | None]
) -> Subject:
    came = [(cell, each) for cell, each in zip(group, pictures, strict=True) if each is not None]
    width, height = map(int, asset.size.split("x")) if asset.size else (0, 0)
    return Subject(
        pictures=[each for cell, each in came if not cell.alone],
        alone=next((each for cell, each in came if cell.alone), None),
        text=prompt.text,
        palette=[(int(each[1:3], 16), int(each[3:5], 16), int(each[5:7], 16)) for each in prompt.palette],
        size=(width, height) if asset.size else None,
    )


def _readings(asset: AssetSpec, subject: Subject, known: Mapping[str, Measure]) -> Iterable[Reading]:
    """Of every criterion that says something. What says nothing of a prompt is passed, so that shares count
    the same pictures for every criterion."""
    for name, bounds in asset.criteria.items():
        try:
            measured = known[name].measure(subject)
        except ImportError as error:
            raise AuditError(
                f"{name} needs {error.name}: install Atelier with its extra `audits`, "
                "as in pip install 'atelier-serve[audits]'"
            ) from None
        if measured is None:
            yield Reading(name, True, None, "says nothing of this prompt")
        else:
            least, most = _bounds(bounds, known[name])
            passed = (least is None or measured.value >= least) and (most is None or measured.value <= most)
            note = "" if passed else measured.note
            yield Reading(name, passed, measured.value, note, known[name].calls_for_fix)


def _answered(found: Sequence[Answer]) -> tuple[Reading, ...]:
    """A repeat that did not come is a miss of its own: a criterion over the others would hide it."""
    if len(found) == 1:
        return ()
    lost = [each.outcome for each in found if each.picture is None]
    return (Reading(EVERY_REPEAT, not lost, 1 - len(lost) / len(found), ", ".join(sorted(set(lost))), False),)


def _criteria(spec: AuditSpec, asset: AssetSpec, known: Mapping[str, Measure]) -> tuple[Criterion, ...]:
    own = [
        Criterion(name, _in_words(bounds, known[name]), bounds.required_ratio)
        for name, bounds in asset.criteria.items()
    ]
    if spec.repeats + spec.alone > 1:
        own.append(Criterion(EVERY_REPEAT, "all repeats came"))
    return tuple(own)


def _in_words(bounds: CriterionSpec, measure: Measure) -> str:
    least, most = _bounds(bounds, measure)
    limits = [f"≥ {least:g}" if least is not None else "", f"≤ {most:g}" if most is not None else ""]
    return f"{' and '.join(filter(None, limits))} ({measure.unit})"


def _bounds(bounds: CriterionSpec, measure: Measure) -> tuple[float | None, float | None]:
    if bounds.min is None and bounds.max is None:
        return measure.least, measure.most
    return bounds.min, bounds.max


def _why_none(answer: Answer) -> str:
    if answer.outcome == OK:
        return "what came is no picture"
    return f"{answer.outcome}: {answer.error}" if answer.error else answer.outcome


def _versions(answers: Iterable[Answer]) -> dict[str, str]:
    """Of what was measured, as its receipts say, in the order of names."""
    found: dict[str, set[str]] = {}
    for answer in answers:
        for model, revision in zip(answer.models, answer.revisions, strict=False):
            found.setdefault(model, set()).add(revision)
        if answer.receipt and (policy := answer.receipt.get("policy_version")):
            found.setdefault("policy", set()).add(str(policy))
    return {name: ", ".join(sorted(found[name])) for name in sorted(found)}

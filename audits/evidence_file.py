"""The file in a run's folder that holds its evidence: `evidence.json`, with pictures by paths relative to
the folder."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audits.evidence import Criterion, Evidence, Rates, Reading, Sample

FILE_NAME = "evidence.json"
FORMAT = "atelier-audit-evidence/1"


class EvidenceError(ValueError):
    """A folder that holds no finished audit of this version."""


def write_evidence(folder: Path, evidence: Evidence) -> None:
    """At once: a reader sees the old file or the new one. Pictures must lie in the folder."""
    document = {"format": FORMAT, **asdict(evidence)}
    for written, sample in zip(document["samples"], evidence.samples, strict=True):
        written["picture"] = None if sample.picture is None else _inside(folder, sample.picture)
    unfinished = folder / f"{FILE_NAME}.part"
    unfinished.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
    unfinished.replace(folder / FILE_NAME)


def read_evidence(folder: Path) -> Evidence:
    """Raises EvidenceError."""
    path = folder / FILE_NAME
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise EvidenceError(f"{folder} has no {FILE_NAME}: give the folder of a finished audit") from None
    except ValueError:
        raise EvidenceError(f"{path}: not JSON") from None
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise EvidenceError(f"{path}: not the evidence of this version's audits")
    try:
        return _evidence(folder, document)
    except (TypeError, KeyError) as error:
        raise EvidenceError(f"{path}: {error}") from None


def _evidence(folder: Path, document: dict[str, Any]) -> Evidence:
    criteria = {
        asset: tuple(Criterion(**each) for each in listed)
        for asset, listed in document.pop("criteria").items()
    }
    samples = tuple(_sample(folder, each) for each in document.pop("samples"))
    return Evidence(criteria=criteria, samples=samples, rates=Rates(**document.pop("rates")), **document)


def _sample(folder: Path, written: dict[str, Any]) -> Sample:
    picture = written.pop("picture")
    readings = tuple(Reading(**each) for each in written.pop("readings"))
    models = tuple(written.pop("models"))
    path = None if picture is None else folder / picture
    return Sample(picture=path, readings=readings, models=models, **written)


def _inside(folder: Path, picture: Path) -> str:
    return picture.resolve().relative_to(folder.resolve()).as_posix()

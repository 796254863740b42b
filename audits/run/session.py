"""A run in its folder: started or gone on with, asked, judged, its evidence written.

Several runs of one command are one run, as long as the audit and the endpoint are the same ones.
"""

import asyncio
import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from audits.evidence import Evidence
from audits.evidence_file import write_evidence
from audits.run.asking import open_endpoint
from audits.run.judging import check_criteria, judge
from audits.run.plan import digest
from audits.run.records import Records, RecordsError
from audits.run.runner import ask_all
from audits.run.spec import AuditError, AuditSpec

FILE_NAME = "run.json"
FORMAT = "atelier-audit-run/1"
_MEASURED_BY = ("atelier-serve", "rapidocr", "scikit-image", "flip-evaluator")
_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Progress:
    """`asked` and `judged` are told how many are done."""

    asked: Callable[[int], None] = lambda done: None
    judged: Callable[[int], None] = lambda done: None


@dataclass(frozen=True, slots=True)
class Run:
    """What a folder is the run of. `target` is the endpoint's URL, or `embedded`."""

    audit: str
    target: str
    started_unix_s: float


def run_audit(
    spec: AuditSpec,
    folder: Path,
    url: str,
    *,
    target: str | None = None,
    api_key: str | None = None,
    progress: Progress = Progress(),
) -> Evidence:
    """Asks for what has no answer yet, then judges. `target` is what the evidence calls the endpoint.

    Raises AuditError for a folder of another audit, one that another process writes to, or an unknown
    criterion; EndpointError when the endpoint goes away, and what came until then is kept.
    """
    check_criteria(spec)
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        run = _begin(folder, Run(digest(spec), target or url, time.time()))
        try:
            records = Records(folder)
        except RecordsError as error:
            raise AuditError(str(error)) from None
        try:
            asyncio.run(_ask(spec, url, api_key, records, progress))
        finally:
            records.close()
        evidence = judge(
            spec,
            folder,
            records.answers,
            target=run.target,
            started_unix_s=run.started_unix_s,
            measured_by=_packages(),
            progress=progress.judged,
        )
        write_evidence(folder, evidence)
    return evidence


async def _ask(spec: AuditSpec, url: str, api_key: str | None, records: Records, progress: Progress) -> None:
    timeout_s = spec.budget_ms / 1000 + _GRACE_S
    async with open_endpoint(url, timeout_s=timeout_s, api_key=api_key) as endpoint:
        await ask_all(spec, endpoint, records, progress.asked)


def _begin(folder: Path, run: Run) -> Run:
    """The run that the folder has, or this one from now on."""
    path = folder / FILE_NAME
    if not path.exists():
        document = {
            "format": FORMAT,
            "audit": run.audit,
            "target": run.target,
            "started_unix_s": run.started_unix_s,
        }
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(document) + "\n", "utf-8")
        unfinished.replace(path)
        return run
    try:
        document = json.loads(path.read_text("utf-8"))
        known = Run(document["audit"], document["target"], float(document["started_unix_s"]))
        of_this_version = document["format"] == FORMAT
    except (ValueError, KeyError, TypeError):
        of_this_version = False
    if not of_this_version:
        raise AuditError(f"{path}: not a run of this version's audits; give another folder with --out")
    if known.audit != run.audit:
        raise AuditError(f"{folder} is the run of an audit that asks something else: "
                         "give another folder with --out")  # fmt: skip
    if known.target != run.target:
        raise AuditError(f"{folder} is a run against {known.target}, not {run.target}: give another --out")
    return known


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """The system takes the lock back when the process ends, however it ends."""
    with (folder / "run.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AuditError(f"{folder}: another process runs this audit") from None
        yield


def _packages() -> dict[str, str]:
    found = {}
    for name in _MEASURED_BY:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

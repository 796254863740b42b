"""A whole audit over HTTP, whole and interrupted: killed at any of twenty points, it ends as one run does."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from audits.evidence import Evidence
from audits.evidence_file import read_evidence
from audits.run.asking import EndpointError
from audits.run.plan import cells
from audits.run.records import FILE_NAME
from audits.run.session import run_audit
from audits.run.spec import AuditError, parse_audit
from tests.audits.run.endpoint import ANSWERS, AUDIT, Fake, serving

SPEC = parse_audit(AUDIT)


async def _run(folder: Path, fake: Fake) -> Evidence:
    async with serving(fake) as url:
        return await asyncio.to_thread(run_audit, SPEC, folder, url, target="fake")


def without_times(evidence: Evidence) -> Evidence:
    """What two runs of one audit have in common: everything but when it was and how long it took."""
    samples = tuple(
        replace(
            each,
            picture=None if each.picture is None else Path(each.picture.name),
            latency_ms=None,
            readings=tuple(
                replace(reading, value=None) if reading.criterion == "latency_ms" else reading
                for reading in each.readings
            ),
        )
        for each in evidence.samples
    )
    return replace(evidence, samples=samples, started_unix_s=0.0)


async def test_every_answer_is_asked_for_once_and_judged(tmp_path: Path) -> None:
    fake = Fake()
    evidence = await _run(tmp_path, fake)
    assert len(fake.bodies) == SPEC.answers == ANSWERS
    assert fake.most_at_once <= SPEC.concurrency
    assert fake.headers["cache-control"] == "no-store"
    assert evidence.variants("swatch") == ("steady", "broken")
    steady = evidence.of("swatch", "steady")
    assert [each.question for each in steady] == [
        "swatch/one/1",
        "swatch/two/1",
        "swatch/one/2",
        "swatch/two/2",
    ]
    assert not any(each.needs_fix for each in steady)
    assert steady[0].models == ("steady",)
    assert (steady[0].steps, steady[0].gpu_s, steady[0].cost_usd) == (4, 0.5, 0.01)
    assert evidence.versions["steady"] == "r1"
    refused = [each for each in evidence.of("swatch", "broken") if each.picture is None]
    assert [each.error for each in refused] == ["out_of_memory: no"] * 2
    wrong = [each for each in evidence.of("swatch", "broken") if each.picture is not None]
    assert {reading.criterion: reading.note for each in wrong for reading in each.missed} == {
        "size_as_asked": "17x8"
    }


async def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    evidence = await _run(tmp_path, Fake())
    assert read_evidence(tmp_path) == evidence


async def test_a_finished_run_asks_nothing_more(tmp_path: Path) -> None:
    first = await _run(tmp_path, Fake())
    again = Fake()
    assert await _run(tmp_path, again) == first
    assert again.bodies == []


async def test_an_endpoint_that_goes_away_ends_the_run_and_the_next_goes_on(tmp_path: Path) -> None:
    whole = without_times(await _run(tmp_path / "whole", Fake()))
    with pytest.raises(EndpointError, match="connection"):
        await _run(tmp_path / "broken", Fake(dies_after=7))
    rest = Fake()
    assert without_times(await _run(tmp_path / "broken", rest)) == whole
    assert len(rest.bodies) == ANSWERS - 7


async def test_a_threshold_may_change_and_nothing_is_asked_again(tmp_path: Path) -> None:
    first = await _run(tmp_path, Fake())
    assert not any(each.missed for each in first.of("swatch", "steady"))
    strict = parse_audit(AUDIT.replace("file_bytes: {max: 500}", "file_bytes: {max: 5}"))
    evidence = await asyncio.to_thread(run_audit, strict, tmp_path, "http://127.0.0.1:9", target="fake")
    assert all(each.missed for each in evidence.of("swatch", "steady"))


async def test_another_audit_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    await _run(tmp_path, Fake())
    other = SPEC.model_copy(update={"seeds": (5,)})
    with pytest.raises(AuditError, match="asks something else"):
        run_audit(other, tmp_path, "http://127.0.0.1:9", target="fake")
    with pytest.raises(AuditError, match="run against fake"):
        run_audit(SPEC, tmp_path, "http://127.0.0.1:9")


def test_a_criterion_that_nobody_has_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    spec = parse_audit(AUDIT.replace("file_bytes", "beauty"))
    with pytest.raises(AuditError, match="there is no 'beauty'; there are text_exact"):
        run_audit(spec, tmp_path / "out", "http://127.0.0.1:9")
    assert not (tmp_path / "out").exists()


_CHILD = """
import os, signal, sys
from pathlib import Path
import audits.run.records as records, audits.run.session as session
from audits.run.spec import parse_audit
from tests.audits.run.endpoint import AUDIT

folder, url, point = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
left = point

def dying(do):
    def wrapped(*arguments):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(*arguments)
    return wrapped

def torn(self, answer, whole=records.Records.add):
    # Half of the line reaches the disk, and the process dies.
    global left
    left -= 1
    if left == 0:
        self._file.write(b'{"cell": "half a li')
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    whole(self, answer)

records.os.fsync = dying(os.fsync)
records.Records.add = torn
session.write_evidence = dying(session.write_evidence)
session.run_audit(parse_audit(AUDIT), folder, url, target="fake")
"""


@pytest.mark.slow
async def test_killed_at_twenty_points_the_report_is_that_of_one_run(tmp_path: Path) -> None:
    """Each life is killed a bit later than the one before: before and after a picture is on the disk, in the
    middle of a line, before the evidence. The 20 lives of one folder end as a single run does."""
    whole = without_times(await _run(tmp_path / "whole", Fake()))
    folder = tmp_path / "killed"
    fake, kills = Fake(), 0
    async with serving(fake) as url:
        while True:
            point = 1 + kills % 7 if kills < 20 else 10_000
            command = [sys.executable, "-c", _CHILD, str(folder), url, str(point)]
            child = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
            if child.returncode == 0:
                break
            assert child.returncode == -signal.SIGKILL, child.stderr.decode()
            kills += 1
    assert kills == 20
    assert without_times(read_evidence(folder)) == whole
    lines = [json.loads(line)["cell"] for line in (folder / FILE_NAME).read_text().splitlines()]
    assert sorted(lines) == sorted(cell.id for cell in cells(SPEC))
    assert len(fake.bodies) <= ANSWERS + kills * SPEC.concurrency


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    import fcntl

    lock = os.open(tmp_path / "run.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(AuditError, match="another process"):
        run_audit(SPEC, tmp_path, "http://127.0.0.1:9")
    os.close(lock)

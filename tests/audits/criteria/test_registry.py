from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from audits.criteria import registry
from audits.criteria.registry import GROUP, CriterionError, criteria
from audits.criteria.subject import Criterion, Measured

OWN = Criterion("own", "of 10", lambda subject: Measured(float(subject.first.file_bytes)), most=10)
TAKEN = Criterion("flip", "", lambda subject: None)


def _installed(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def found(**wanted: Any) -> EntryPoints:
        return EntryPoints([EntryPoint("own", place, GROUP)]).select(**wanted)

    monkeypatch.setattr(registry, "entry_points", found)


def test_another_package_may_bring_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, f"{__name__}:OWN")
    assert criteria()["own"] is OWN


@pytest.mark.parametrize(
    "place", [f"{__name__}:TAKEN", f"{__name__}:GROUP", f"{__name__}:absent", "absent:x"]
)
def test_what_is_no_criterion_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    _installed(monkeypatch, place)
    with pytest.raises(CriterionError, match="entry point own"):
        criteria()

"""docs/architecture.md agrees with the code."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deployments.errors
from deployments import telemetry as replica_telemetry
from deployments.metrics import ReplicaMetrics
from routing.types import Outcome
from serve import telemetry
from serve.metrics import RayObserver
from tests.docs.pages import ROOT, blocks, names, read, rows, section

TEXT = read("docs/architecture.md")
PACKAGES = ("serve", "deployments", "routing", "loadtests", "audits", "batches")
METRIC_KINDS = {"Counter": "counter", "Histogram": "histogram", "Gauge": "gauge"}


def house() -> Iterator[str]:
    """Paths that the drawing of the house names; indented lines lie in the folder above them."""
    folder = ""
    for line in blocks(section(TEXT, "The house").own)[0].splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = name
            yield name
        else:
            yield folder + name


def test_every_file_and_folder_of_the_house_exists() -> None:
    paths = list(house())
    assert len(paths) > 50
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert missing == []
    assert [path for path in paths if path.endswith("/") != (ROOT / path).is_dir()] == []


def test_every_folder_of_code_is_in_the_house() -> None:
    drawn = set(house())
    folders = {f"{init.parent.relative_to(ROOT)}/" for init in ROOT.glob("*/__init__.py")}
    inner = {
        f"{init.parent.relative_to(ROOT)}/"
        for package in ("serve", "deployments", "routing")
        for init in (ROOT / package).glob("*/__init__.py")
    }
    named = {f"{name.rpartition('/')[0]}/" for name in names(TEXT) if name.endswith(".py")}
    assert folders - drawn - {"audits/"} == set()
    assert inner - drawn - named == set()


def test_files_named_in_prose_exist() -> None:
    files = [name for name in names(TEXT) if re.fullmatch(r"[\w/]+/[\w.]+\.(py|yaml)", name)]
    assert len(files) > 10
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_the_contracts_are_those_of_import_linter() -> None:
    linter = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]
    documented = {row[0]: row for row in rows(section(TEXT, "Who may import whom").own)}
    contracts = {contract["name"]: contract for contract in linter["contracts"]}
    assert documented.keys() == contracts.keys()
    for name, contract in contracts.items():
        _, who, what = documented[name]
        if contract["type"] == "layers":
            assert names(who) == contract["layers"]
        else:
            assert names(who) == contract["source_modules"]
            excepted = [
                each.partition(" ->")[0].removesuffix(".**") for each in contract.get("ignore_imports", [])
            ]
            assert names(what) == [*contract["forbidden_modules"], *excepted]


def test_ray_is_imported_only_where_the_page_says() -> None:
    importing = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "ray" in set(_imported(path))
    }
    sentence = TEXT[TEXT.index("Ray is imported in few files:") : TEXT.index("## One request")]
    assert set(names(sentence)) == importing


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def test_seams_and_parts_are_named_as_in_the_code() -> None:
    defined = {
        node.name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef)
    }
    for seam, *implementations in rows(section(TEXT, "Seams").own):
        module, _, name = names(seam)[0].rpartition(".")
        assert re.search(rf"^class {name}\b", read(module.replace(".", "/") + ".py"), re.MULTILINE)
        for implementation in names(" ".join(implementations)):
            assert implementation in defined


def test_the_error_tree_is_the_one_in_the_code() -> None:
    tree = blocks(section(TEXT, "Errors").own)[0].splitlines()
    docstring = (deployments.errors.__doc__ or "").splitlines()
    assert tree == [line.removeprefix("    ") for line in docstring if line.startswith("    ")]
    drawn = {match[1]: match[2] for line in tree[1:] if (match := re.search(r"── (\w+) +(\w+)", line))}
    real = {
        each.__name__: each.code
        for each in vars(deployments.errors).values()
        if isinstance(each, type) and issubclass(each, deployments.errors.RenderError)
    }
    assert drawn == {name: code for name, code in real.items() if name != "RenderError"}


def test_the_outcomes_are_those_of_the_policy_engine() -> None:
    row = next(row for row in rows(section(TEXT, "Words").own) if row[0] == "outcome")
    assert names(row[1]) == [outcome.value for outcome in Outcome]


def test_the_spans_are_those_that_are_made() -> None:
    drawn = re.findall(r"── ([\w.]+)", blocks(section(TEXT, "Spans").own)[0])
    assert sorted(drawn) == sorted([*_constants(telemetry, "SPAN"), *_constants(replica_telemetry, "SPAN")])


def test_the_attributes_are_those_that_are_set() -> None:
    documented = {row[0]: names(row[1]) for row in rows(section(TEXT, "Attributes").own)}
    assert documented == {
        "router": _constants(telemetry, "ATTR"),
        "replica": _constants(replica_telemetry, "ATTR"),
    }


def test_the_metrics_are_those_that_are_counted() -> None:
    documented = {names(row[0])[0]: (row[1], names(row[2])) for row in rows(section(TEXT, "Metrics").own)}
    counted = {
        metric._name: (METRIC_KINDS[type(metric).__name__], list(metric._tag_keys))
        for counting in (RayObserver(), ReplicaMetrics("m"))
        for metric in vars(counting).values()
        if type(metric).__name__ in METRIC_KINDS
    }
    assert documented == counted
    constants = [*_constants(telemetry, "METRIC"), *_constants(replica_telemetry, "METRIC")]
    assert sorted(documented) == sorted(constants)


def _constants(module: Any, prefix: str) -> list[str]:
    return [value for name, value in vars(module).items() if name.startswith(f"{prefix}_")]

"""docs/api.md agrees with the OpenAPI document, the wire models and the table of errors."""

import ast
import json
import shlex

import pytest
from pydantic import BaseModel

from deployments.errors import InvalidRequest
from routing.types import Outcome
from serve.errors import OUTCOMES
from serve.schemas import AtelierOptions, ImageGenerationRequest, Receipt
from tests.docs.pages import ROOT, blocks, names, read, rows, section
from tests.serve.gateways import gateway, http

TEXT = read("docs/api.md")


def test_the_endpoints_are_those_of_the_openapi_document() -> None:
    documented = {name for row in rows(section(TEXT, "Endpoints").own) for name in names(row[0])}
    offered = {
        f"{method.upper()} {path}"
        for path, methods in gateway().app.openapi()["paths"].items()
        for method in methods
    }
    assert documented == offered


@pytest.mark.parametrize(
    ("title", "model"),
    [("Requests", ImageGenerationRequest), ("The atelier object", AtelierOptions), ("Receipts", Receipt)],
)
def test_the_fields_are_those_of_the_wire_models(title: str, model: type[BaseModel]) -> None:
    documented = [names(row[0])[0] for row in rows(section(TEXT, title).own)]
    assert sorted(documented) == sorted(model.model_fields)


def test_the_errors_are_those_that_are_raised() -> None:
    documented = {(int(row[0]), names(row[1])[0]) for row in rows(section(TEXT, "Errors").own)}
    from_outcomes = {(entry.status, outcome.value) for outcome, entry in OUTCOMES.items()}
    assert OUTCOMES.keys() == set(Outcome) - {Outcome.OK}
    assert documented == from_outcomes | _raised() | {(400, InvalidRequest.code)}


def _raised() -> set[tuple[int, str]]:
    """Status and code of every ApiError that is written down in `serve`."""
    found = set()
    for path in (ROOT / "serve").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            literals = [each.value for each in call.args[:2] if isinstance(each, ast.Constant)]
            match call.func.id, literals:
                case "ApiError", [int(status), str(code)]:
                    found.add((status, code))
                case "bad_request", [str(code), *_]:
                    found.add((400, code))
    return found


async def test_the_curl_line_and_the_headers_of_its_answer() -> None:
    words = shlex.split(blocks(TEXT)[0])
    path = words[2].removeprefix("http://127.0.0.1:8000")
    async with http(gateway()) as client:
        answer = await client.post(path, json=json.loads(words[words.index("-d") + 1]))
    assert answer.status_code == 200
    assert answer.json()["atelier"]["images"][0]["seed"] == 7
    documented = {names(row[0])[0] for row in rows(section(TEXT, "Headers").own)}
    sent = {name for name in answer.headers if name.startswith("x-")}
    assert sent == {name for name in documented if name.startswith("x-")} - {"x-trace-id"}

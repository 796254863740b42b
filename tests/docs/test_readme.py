"""What the README shows works as shown."""

import ast
from typing import Any

from routing.policy import load_policy
from serve.config import load_config, model_facts
from tests.docs.pages import ROOT, blocks, read
from tests.serve.gateways import gateway, official

TEXT = read("README.md")
POLICY = blocks(TEXT, "yaml")[0]


def test_the_policy_loads_beside_the_models_of_make_up() -> None:
    models = model_facts(load_config(ROOT / "examples" / "local.yaml"))
    policy = load_policy(POLICY, source="README", models=models)
    assert [(set(route.models), route.spec.max_latency_ms) for route in policy.routes] == [
        ({"typography_focused"}, 300),
        ({"creative_highfidelity"}, 1200),
    ]


async def test_the_client_s_call_is_answered_and_the_receipt_has_what_is_printed() -> None:
    tree = ast.parse(blocks(TEXT, "python")[0])
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    call = next(each for each in calls if ast.unparse(each.func) == "client.images.generate")
    arguments = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    images: Any = await official(gateway(POLICY)).images.generate(**arguments)
    assert images.atelier["model"] == "typography_focused"
    printed = [ast.unparse(each) for each in calls if ast.unparse(each.func) == "print"]
    assert printed == ["print(image.atelier['model'], image.atelier['reason'])"]
    assert images.atelier["reason"]


def test_nothing_but_the_two_commands_is_needed() -> None:
    commands = [line.split("#")[0].strip() for line in blocks(TEXT)[0].splitlines()]
    assert commands == ["make up", "make test"]

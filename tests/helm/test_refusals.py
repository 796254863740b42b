"""Values that are wrong are refused at render, with a sentence that names the value."""

from typing import Any

import pytest

from tests.helm.rendering import Object, Refused, example, merged, render, render_text
from tests.helm.wrong_combinations import WRONG_COMBINATIONS
from tests.helm.wrong_values import WRONG_VALUES, group, incremental, model, routes

WRONG = WRONG_VALUES + WRONG_COMBINATIONS


@pytest.mark.parametrize(("values", "words"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_refused_with_a_sentence(values: Object, words: str) -> None:
    with pytest.raises(Refused) as refusal:
        render(values)
    assert words in str(refusal.value)


def test_there_are_enough() -> None:
    assert len({name for name, _, _ in WRONG}) == len(WRONG) >= 40


def test_a_good_value_beside_each_wrong_one() -> None:
    """The parts that the wrong values are made of are themselves accepted."""
    render(group())
    render(merged(group(), model(kind="echo", num_gpus=0.5, accelerator_type="A100")))
    render(incremental(gatewayClassName="istio"))
    render(routes({"pattern": ".*", "model": "typography_focused"}))


@pytest.mark.parametrize("name", ["one-node-cpu", "one-a100", "multi-gpu", "locked-down"])
def test_typo_anywhere_in_an_example_is_refused(name: str) -> None:
    values = example(name)
    for path in _paths_of_maps(values):
        if _takes_any_key(path):
            continue
        with pytest.raises(Refused, match="surely_no_key"):
            render_text(_with_typo(values, path))


def _paths_of_maps(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path, *(p for k, v in value.items() for p in _paths_of_maps(v, (*path, k)))]
    if isinstance(value, list):
        return [p for i, v in enumerate(value) for p in _paths_of_maps(v, (*path, i))]
    return []


def _takes_any_key(path: tuple[Any, ...]) -> bool:
    return bool(path) and path[-1] in ("matchLabels", "nodeSelector", "labels", "models", "autoscaling")


def _with_typo(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return {**value, "surely_no_key": 1}
    if isinstance(value, dict):
        return {**value, path[0]: _with_typo(value[path[0]], path[1:])}
    return [_with_typo(v, path[1:]) if i == path[0] else v for i, v in enumerate(value)]

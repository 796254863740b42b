"""Every example on every supported Kubernetes, with features on and off: lint, schemas and cross checks."""

import itertools
from collections.abc import Iterator

import helm_python
import pytest

from tests.helm.cross_checks import cross_checks
from tests.helm.rendering import CHART, EXAMPLES, NAMESPACE, Object, example, merged, render, render_text
from tests.helm.strict import problems

KUBERNETES = [f"1.{minor}" for minor in range(28, 38)]

PEER = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "there"}}}]

FEATURES: dict[str, tuple[Object, Object]] = {
    "network-policy": ({"networkPolicy": {"enabled": True}}, {"networkPolicy": {"enabled": False}}),
    "collector": (
        {
            "otelCollector": {"enabled": True, "exporter": {"endpoint": "http://tempo:4318"}},
            "telemetry": {"otlpEndpoint": ""},
        },
        {"otelCollector": {"enabled": False}},
    ),
    "monitoring": (
        {"monitoring": {name: {"enabled": True} for name in ("podMonitor", "rules", "dashboards")}},
        {"monitoring": {name: {"enabled": False} for name in ("podMonitor", "rules", "dashboards")}},
    ),
    "policy-by-api": ({"policy": {"follow": "api"}}, {"policy": {"follow": "mount"}}),
    "redis": (
        {
            "ray": {"gcsFaultTolerance": {"enabled": True, "redisAddress": "redis:6379"}},
            "networkPolicy": {"redis": PEER},
        },
        {"ray": {"gcsFaultTolerance": {"enabled": False}}},
    ),
    "loadtest": (
        {"loadtest": {"enabled": True}, "apiKeys": {"existingSecret": "keys", "testKey": "test"}},
        {"loadtest": {"enabled": False}},
    ),
    "audit": (
        {
            "audit": {"enabled": True, "existingConfigMap": "audit", "timeZone": "Etc/UTC"},
            "apiKeys": {"existingSecret": "keys", "testKey": "test"},
        },
        {"audit": {"enabled": False}},
    ),
}


def _combinations() -> Iterator[tuple[str, dict[str, bool]]]:
    """Per example: everything on, everything off, and each feature alone."""
    names = list(FEATURES)
    for path in EXAMPLES:
        yield path.stem, dict.fromkeys(names, True)
        yield path.stem, dict.fromkeys(names, False)
        for alone in names:
            yield path.stem, {name: name == alone for name in names}


COMBINATIONS = list(_combinations())
IDS = [
    f"{name}-{'+'.join(feature for feature, on in features.items() if on) or 'none'}"
    for name, features in COMBINATIONS
]


def _values(name: str, features: dict[str, bool]) -> Object:
    layers = [FEATURES[feature][0 if on else 1] for feature, on in features.items()]
    return merged(example(name), *layers)


def test_four_examples() -> None:
    assert [path.stem for path in EXAMPLES] == ["locked-down", "multi-gpu", "one-a100", "one-node-cpu"]


@pytest.mark.parametrize(("name", "features"), COMBINATIONS, ids=IDS)
def test_objects_are_valid_and_agree(name: str, features: dict[str, bool]) -> None:
    """Only the schemas differ between versions of Kubernetes: one render is checked against all of them."""
    objects = render(_values(name, features))
    assert cross_checks(objects, network_policies=features["network-policy"]) == []
    for each, version in itertools.product(objects, KUBERNETES):
        assert problems(each, version) == [], f"{each['kind']} {each['metadata']['name']} on {version}"


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_service_monitors_instead_of_pod_monitors(name: str) -> None:
    instead = {"monitoring": {"podMonitor": {"enabled": False}, "serviceMonitor": {"enabled": True}}}
    objects = render(merged(example(name), FEATURES["collector"][0], instead))
    assert [o for o in objects if o["kind"] == "PodMonitor"] == []
    assert len([o for o in objects if o["kind"] == "ServiceMonitor"]) == 2
    assert cross_checks(objects) == []
    for each, version in itertools.product(objects, KUBERNETES):
        assert problems(each, version) == [], f"{each['kind']} {each['metadata']['name']} on {version}"


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
@pytest.mark.parametrize("version", KUBERNETES)
def test_renders_the_same_on_every_version(name: str, version: str) -> None:
    values = example(name)
    assert render_text(values, kube_version=f"v{version}.0") == render_text(values)


@pytest.mark.parametrize("name", ["", *(path.stem for path in EXAMPLES)])
def test_lint_is_clean(name: str) -> None:
    values = example(name) if name else {}
    report = helm_python.lint(str(CHART), values, strict=True, namespace=NAMESPACE, kube_version="v1.31.4")
    serious = [m for m in report["messages"] if m["severity"] >= 2]
    assert report["errors"] == []
    assert serious == []


@pytest.mark.parametrize("name", ["", *(path.stem for path in EXAMPLES)])
def test_rendering_twice_is_identical(name: str) -> None:
    values = example(name) if name else {}
    assert render_text(values) == render_text(values)

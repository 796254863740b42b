"""The collector's configuration: wired together, and keeping what the application marks as worth keeping."""

import yaml

from routing.types import Outcome
from serve import telemetry
from tests.helm.rendering import Object, merged, one, pod_templates, render

COLLECTOR = {"otelCollector": {"enabled": True, "exporter": {"endpoint": "http://tempo:4318"}}}


def collector_config(values: Object | None = None) -> Object:
    config = one(render(merged(COLLECTOR, values or {})), "ConfigMap", "atelier-otel")["data"]["config.yaml"]
    document: Object = yaml.safe_load(config)
    return document


def test_collector_pipeline_is_wired() -> None:
    config = collector_config()
    for pipeline in config["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(config[part])
    assert config["service"]["pipelines"]["traces"]["processors"][0] == "memory_limiter"
    assert set(config["service"]["extensions"]) == set(config["extensions"])


def test_collector_keeps_what_the_application_marks() -> None:
    """Names of attributes and outcomes are the application's; a renamed one would drop traces in silence."""
    policies = {p["name"]: p for p in collector_config()["processors"]["tail_sampling"]["policies"]}
    assert policies["substituted"]["boolean_attribute"]["key"] == telemetry.ATTR_SUBSTITUTED
    outcomes = policies["not-ok"]["string_attribute"]
    assert outcomes["key"] == telemetry.ATTR_OUTCOME
    boring = {Outcome.OK, Outcome.CANCELLED, Outcome.CONTENT_REFUSED, Outcome.UNSUPPORTED}
    assert set(outcomes["values"]) == {outcome.value for outcome in Outcome} - boring


def test_collector_samples_as_told() -> None:
    sampling = {"slowerThanMs": 2500, "othersPercent": 0.5, "decisionWaitSeconds": 7}
    tail = collector_config({"otelCollector": {"tailSampling": sampling}})["processors"]["tail_sampling"]
    policies = {p["name"]: p for p in tail["policies"]}
    assert tail["decision_wait"] == "7s"
    assert policies["slow"]["latency"]["threshold_ms"] == 2500
    assert policies["share-of-the-rest"]["probabilistic"]["sampling_percentage"] == 0.5


def test_collector_restarts_with_its_config() -> None:
    def checksum(values: Object) -> str:
        deployment = one(render(merged(COLLECTOR, values)), "Deployment")
        value: str = deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        return value

    assert checksum({}) != checksum({"otelCollector": {"tailSampling": {"slowerThanMs": 1}}})


def test_pods_send_traces_to_thecollector_config() -> None:
    for where, pod in pod_templates([one(render(COLLECTOR), "RayService")]):
        env = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
        assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://atelier-otel.studio.svc:4318", where

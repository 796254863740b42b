import pytest

from serve.app import build_app, process_telemetry, with_environment
from tests.serve.gateways import config


def test_one_deployment_per_model_and_the_router_in_front() -> None:
    app = build_app(config())
    assert app._bound_deployment.name == "router"
    bound = app._bound_deployment.init_args[1]
    assert {each._bound_deployment.name for each in bound.values()} == set(config().models)


def test_the_environment_fills_what_the_config_leaves_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setenv("ATELIER_API_KEYS_FILE", "/etc/keys")
    assert process_telemetry(config()).otlp_endpoint == "http://collector:4318"
    own = config(telemetry={"otlp_endpoint": "http://own:4318"}, auth={"keys_file": "/own"})
    assert process_telemetry(own).otlp_endpoint == "http://own:4318"
    assert with_environment(config()).auth.keys_file == "/etc/keys"
    assert with_environment(own).auth.keys_file == "/own"

"""helm/atelier/templates/rayservice.yaml: what the operator and the application will read."""

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from serve.config import AppConfig, parse_config
from serve.settings import read_settings
from tests.helm.rendering import Object, Refused, one, pod_templates, render
from tests.helm.strict import problems


def _service(values: Object | None = None) -> Object:
    return one(render(values), "RayService")


def _app_config(values: Object | None = None) -> AppConfig:
    deploy = yaml.safe_load(_service(values)["spec"]["serveConfigV2"])
    ServeDeploySchema.model_validate(deploy)
    return parse_config(deploy["applications"][0]["args"])


def test_passes_the_strict_schema() -> None:
    assert problems(_service()) == []


def test_the_strict_schema_catches_a_typo() -> None:
    service = _service()
    service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    assert any("imagee" in each for each in problems(service))


def test_arguments_of_the_application_are_its_own_config() -> None:
    values = {
        "models": {"poster": {"kind": "echo", "num_cpus": 0.5}},
        "app": {"limits": {"max_n": 2}, "router": {"num_cpus": 0.5}},
    }
    config = _app_config(values)
    assert set(config.models) == {"poster", "typography_focused"}
    assert config.limits.max_n == 2
    assert config.router.num_cpus == 0.5
    assert config.policy.path == "/etc/atelier/policy/policy.yaml"


def test_a_policy_that_is_watched_has_the_mounted_copy_for_a_start_without_the_api() -> None:
    ref = _app_config({"policy": {"follow": "api"}}).policy.config_map
    assert ref is not None
    assert (ref.namespace, ref.name, ref.key) == ("studio", "atelier-policy", "policy.yaml")
    assert ref.fallback_path == "/etc/atelier/policy/policy.yaml"


def test_large_numbers_stay_whole() -> None:
    config = _app_config({"app": {"limits": {"max_body_bytes": 52428800}}})
    assert config.limits.max_body_bytes == 52428800


def test_autoscaling_section_is_laid_over_the_model() -> None:
    values = {
        "models": {"poster": {"kind": "echo", "autoscaling": {"min_replicas": 1, "max_replicas": 3}}},
        "autoscaling": {"poster": {"max_replicas": 8, "target_ongoing_requests": 1.5}},
    }
    autoscaling = _app_config(values).models["poster"].autoscaling
    assert (autoscaling.min_replicas, autoscaling.max_replicas) == (1, 8)
    assert autoscaling.target_ongoing_requests == 1.5


def test_import_path_names_the_builder() -> None:
    application = yaml.safe_load(_service()["spec"]["serveConfigV2"])["applications"][0]
    assert application["import_path"] == "serve.app:build_app"
    from serve.app import build_app

    assert callable(build_app)


def test_environment_of_the_pods_is_accepted_by_the_settings() -> None:
    values = {"apiKeys": {"existingSecret": "keys"}, "telemetry": {"otlpEndpoint": "http://otel:4318"}}
    for where, pod in pod_templates([_service(values)]):
        environ = {e["name"]: e["value"] for e in pod["spec"]["containers"][0]["env"] if "value" in e}
        settings = read_settings(environ)
        assert settings.api_keys_file == "/etc/atelier/api-keys/keys", where
        assert settings.otlp_endpoint == "http://otel:4318", where


def test_no_service_links() -> None:
    """A Service named atelier-... would become ATELIER_..._PORT, which the settings refuse as unknown."""
    for where, pod in pod_templates(render()):
        assert pod["spec"]["enableServiceLinks"] is False, where


def test_policy_is_mounted_as_a_folder() -> None:
    """A subPath mount never changes in a running pod: the policy could not be reloaded."""
    for where, pod in pod_templates([_service()]):
        mount = next(m for m in pod["spec"]["containers"][0]["volumeMounts"] if m["name"] == "policy")
        assert "subPath" not in mount, where
        assert mount["readOnly"] is True


def test_incremental_upgrade() -> None:
    values = {
        "ray": {
            "upgrade": {
                "strategy": "NewClusterWithIncrementalUpgrade",
                "incremental": {"gatewayClassName": "istio", "stepSizePercent": 20, "maxSurgePercent": 40},
            }
        }
    }
    service = _service(values)
    assert problems(service) == []
    assert service["spec"]["upgradeStrategy"] == {
        "type": "NewClusterWithIncrementalUpgrade",
        "clusterUpgradeOptions": {
            "gatewayClassName": "istio",
            "stepSizePercent": 20,
            "intervalSeconds": 30,
            "maxSurgePercent": 40,
        },
    }


def test_gcs_fault_tolerance_takes_the_password_from_a_secret() -> None:
    redis = {"enabled": True, "redisAddress": "redis.studio.svc:6379", "existingSecret": "redis"}
    peers = [{"podSelector": {"matchLabels": {"app": "redis"}}}]
    service = _service({"ray": {"gcsFaultTolerance": redis}, "networkPolicy": {"redis": peers}})
    assert problems(service) == []
    options = service["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    assert options["redisPassword"] == {"valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}}


def test_gpu_group() -> None:
    group = {
        "name": "a100",
        "minReplicas": 0,
        "maxReplicas": 2,
        "gpu": {"count": 1, "resourceName": "nvidia.com/gpu", "acceleratorType": "A100"},
        "resources": {"cpu": 8, "memory": "64Gi"},
    }
    model = {"kind": "echo", "num_gpus": 0.5, "accelerator_type": "A100"}
    service = _service({"workerGroups": [group], "models": {"poster": model}})
    assert problems(service) == []
    worker = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    assert worker["rayStartParams"] == {"num-gpus": "1"}
    resources = worker["template"]["spec"]["containers"][0]["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == 1
    assert resources["requests"] == resources["limits"]


def test_head_without_replicas_offers_no_cpu() -> None:
    head = _service()["spec"]["rayClusterConfig"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    alone = _service({"head": {"runsReplicas": True}, "workerGroups": []})["spec"]
    assert "num-cpus" not in alone["rayClusterConfig"]["headGroupSpec"]["rayStartParams"]
    assert alone["excludeHeadPodFromServeSvc"] is False


@pytest.mark.parametrize("release", ["a" * 48, "1atelier", "atelier-" + "x" * 40])
def test_name_that_the_operator_refuses(release: str) -> None:
    with pytest.raises(Refused, match="the name "):
        render(release=release)

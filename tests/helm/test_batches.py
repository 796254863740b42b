"""Where batches are kept on a cluster."""

from typing import Any

import pytest
import yaml

from serve.config import Batches
from tests.helm.cross_checks import cross_checks
from tests.helm.rendering import Object, one, pod_templates, render

ENABLED: Object = {"batches": {"enabled": True, "size": "20Gi"}}


def _arguments(values: Object) -> dict[str, Any]:
    """What the application is given."""
    deploy = yaml.safe_load(one(render(values), "RayService")["spec"]["serveConfigV2"])
    arguments: dict[str, Any] = deploy["applications"][0]["args"]
    return arguments


def test_every_ray_pod_mounts_the_claim() -> None:
    objects = render(ENABLED)
    claim = one(objects, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert cross_checks(objects) == []
    pods = list(pod_templates([one(objects, "RayService")]))
    assert len(pods) == 2
    for where, pod in pods:
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        mounts = {each["name"]: each for each in pod["spec"]["containers"][0]["volumeMounts"]}
        assert volumes["batches"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"], where
        assert mounts["batches"] == {"name": "batches", "mountPath": "/var/lib/atelier/batches"}, where


@pytest.mark.parametrize(("mode", "journal"), [("ReadWriteMany", "delete"), ("ReadWriteOnce", "wal")])
def test_the_application_is_told_the_folder_and_how_to_write_there(mode: str, journal: str) -> None:
    values = {"batches": {**ENABLED["batches"], "accessMode": mode}, "app": {"batches": {"concurrency": 7}}}
    batches = Batches.model_validate(_arguments(values)["batches"])
    assert (batches.folder, batches.journal, batches.concurrency) == ("/var/lib/atelier/batches", journal, 7)


def test_a_claim_of_ones_own_is_used() -> None:
    objects = render({"batches": {"enabled": True, "existingClaim": "shared"}})
    assert [each for each in objects if each["kind"] == "PersistentVolumeClaim"] == []
    for _, pod in pod_templates([one(objects, "RayService")]):
        [volume] = [each for each in pod["spec"]["volumes"] if each["name"] == "batches"]
        assert volume["persistentVolumeClaim"]["claimName"] == "shared"


def test_without_it_nothing_is_mounted_and_none_are_offered() -> None:
    assert "batches" not in _arguments({})

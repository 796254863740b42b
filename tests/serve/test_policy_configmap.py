"""The policy from a ConfigMap: in force on every router when it changes, over a real HTTP watch."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as kubernetes_client

from routing.policy import PolicyError
from routing.store import PolicyStore
from serve import policy_text
from serve.config import AppConfig, ConfigError, ConfigMapRef, parse_config
from serve.gateway import Gateway
from serve.metrics import NoObserver
from serve.policy_source import ConfigMapWatch, open_store, raster_shelf
from serve.watch.configmap import ConfigMapSource
from tests.serve.gateways import MODELS, SEED_POLICY, clients_of, http
from tests.serve.watch.api_server import ApiServer
from tests.serve.watch.test_configmap import source_of

MORE = SEED_POLICY + "default: {model: typography_focused}\n"
BROKEN = "model_routing: [{pattern: x, model: nobody}]"
TOKEN = "a-token-of-the-service-account"


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as server:
        server.put("policy", {"policy.yaml": SEED_POLICY})
        yield server


def config(**ref: Any) -> AppConfig:
    source = {"config_map": {"namespace": "studio", "name": "policy", **ref}}
    return parse_config({"models": dict(MODELS), "policy": source})


def ref_of(app: AppConfig) -> ConfigMapRef:
    assert app.policy.config_map is not None
    return app.policy.config_map


@contextlib.asynccontextmanager
async def following(app: AppConfig, url: str) -> AsyncIterator[PolicyStore]:
    store = open_store(app, raster_shelf(app), source_of(url))
    watch = asyncio.create_task(ConfigMapWatch(ref_of(app), store, NoObserver(), source_of(url)).run())
    try:
        yield store
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    """Fails the test by its timeout."""
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


async def test_a_change_is_in_force_on_every_router(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole gateways, which know only the config and the API."""
    monkeypatch.setattr(policy_text, "config_map_source", lambda ref: source_of(api.url))
    monkeypatch.setattr("serve.policy_source.config_map_source", lambda ref: source_of(api.url))
    app = config()
    async with contextlib.AsyncExitStack() as stack:
        routers = [Gateway(app, clients_of(app)) for _ in range(3)]
        for router in routers:
            await stack.enter_async_context(router.app.router.lifespan_context(router.app))
        callers = [await stack.enter_async_context(http(router)) for router in routers]

        async def versions() -> set[str]:
            return {(await caller.get("/v1/policy")).json()["version"] for caller in callers}

        before = await versions()
        assert len(before) == 1
        await asyncio.to_thread(api.await_watches, 3)
        api.put("policy", {"policy.yaml": MORE})
        async with asyncio.timeout(10):
            while True:
                now = await versions()
                if len(now) == 1 and now != before:
                    break


async def test_a_broken_text_leaves_the_last_good_one_in_force(api: ApiServer) -> None:
    async with following(config(), api.url) as store:
        first = store.current.version
        await asyncio.to_thread(api.await_watches, 1)
        api.put("policy", {"policy.yaml": BROKEN})
        await until(lambda: store.refused is not None)
        assert store.current.version == first
        assert "nobody" in str(store.refused)
        api.put("policy", {"policy.yaml": MORE})
        await until(lambda: store.current.version != first)
        assert store.refused is None


async def test_a_lost_connection_and_a_forgotten_version_miss_nothing(api: ApiServer) -> None:
    async with following(config(), api.url) as store:
        first = store.current.version
        await asyncio.to_thread(api.await_watches, 1)
        api.failures.append(503)
        api.cut_watches()
        with api.changed:
            api.objects["policy"]["data"] = {"policy.yaml": MORE}
            api.forget()
        await until(lambda: store.current.version != first)


async def test_includes_are_other_keys(api: ApiServer) -> None:
    api.put("policy", {"policy.yaml": "includes: [more.yaml]\n", "more.yaml": SEED_POLICY})
    async with following(config(), api.url) as store:
        assert store.current.policy.default is None
        await asyncio.to_thread(api.await_watches, 1)
        api.put("policy", {"policy.yaml": "includes: [more.yaml]\n", "more.yaml": MORE})
        await until(lambda: store.current.policy.default is not None)
        api.put("policy", {"policy.yaml": "includes: [none.yaml]\n"})
        await until(lambda: store.refused is not None)
        assert "the ConfigMap has no such key" in str(store.refused)


async def test_without_the_api_the_mounted_copy_serves_until_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "policy.yaml").write_text(SEED_POLICY)
    app = config(fallback_path=str(tmp_path / "policy.yaml"))
    with ApiServer() as api:
        api.put("policy", {"policy.yaml": MORE})
        api.failures.extend([503] * 3)
        async with following(app, api.url) as store:
            assert store.current.source == str(tmp_path / "policy.yaml")
            assert "HTTP 503" in caplog.text
            await until(lambda: store.current.policy.default is not None)
            assert store.current.source == "configmap:studio/policy/policy.yaml"


def test_without_the_api_and_without_a_copy_nothing_starts() -> None:
    with ApiServer() as gone:
        url = gone.url
    app = config()
    with pytest.raises(ConfigError, match=r"policy.config_map: ConfigMap studio/policy cannot be read"):
        open_store(app, raster_shelf(app), source_of(url))


def test_a_first_policy_that_does_not_load_is_not_replaced_by_the_copy(
    api: ApiServer, tmp_path: Path
) -> None:
    """The copy is for an API that is away, not for a policy that is wrong."""
    (tmp_path / "policy.yaml").write_text(SEED_POLICY)
    api.put("policy", {"policy.yaml": BROKEN})
    app = config(fallback_path=str(tmp_path / "policy.yaml"))
    with pytest.raises(PolicyError, match="nobody"):
        open_store(app, raster_shelf(app), source_of(api.url))


def test_outside_a_cluster_the_config_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", "/none/kubeconfig")
    app = config()
    with pytest.raises(ConfigError, match="name a kubeconfig, or run in a pod"):
        open_store(app, raster_shelf(app))


async def test_the_watch_ends_with_the_router(api: ApiServer) -> None:
    def watchers() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "policy-configmap"]

    async with following(config(), api.url):
        await asyncio.to_thread(api.await_watches, 1)
        assert len(watchers()) == 1
    await until(lambda: not watchers())


@pytest.mark.parametrize("status", [401, 403, 500])
def test_the_token_is_sent_and_never_logged(
    api: ApiServer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    configuration = kubernetes_client.Configuration(host=api.url)
    configuration.retries = False
    configuration.api_key["authorization"] = f"bearer {TOKEN}"
    core = kubernetes_client.CoreV1Api(kubernetes_client.ApiClient(configuration))
    source = ConfigMapSource("studio", "policy", "policy.yaml", core, min_backoff_s=0.01, max_backoff_s=0.02)
    api.failures.extend([status] * 2)
    stop, taken = threading.Event(), threading.Event()
    thread = threading.Thread(target=source.run, args=(lambda texts: taken.set(), stop), daemon=True)
    thread.start()
    assert taken.wait(10)
    stop.set()
    thread.join(10)
    assert {request.authorization for request in api.requests} == {f"bearer {TOKEN}"}
    assert f"HTTP {status}" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"path": "p.yaml", "config_map": {"namespace": "a", "name": "b"}}, "exactly one of path, text"),
        ({}, "exactly one of path, text and config_map"),
        ({"config_map": {"namespace": "Studio", "name": "b"}}, "policy.config_map.namespace"),
        ({"config_map": {"name": "b"}}, "policy.config_map.namespace"),
        ({"config_map": {"namespace": "a", "name": "b", "keys": "x"}}, "policy.config_map.keys"),
    ],
)
def test_wrong_sources_are_refused(source: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_config({"models": dict(MODELS), "policy": source})

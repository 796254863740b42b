"""Asks a running application for its fleet and its policy: at a URL, or through the Kubernetes API.

Through the API means the server's proxy to a Service (`get` on services/proxy), which takes no API keys.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from kubernetes import client as kubernetes_client

from serve.kubernetes_api import CONNECT_TIMEOUT_S, FAILURES, brief

Get = Callable[[str], Any]
"""The JSON document at a path such as v1/fleet. Raises Unreachable."""

MOST_BYTES = 16 << 20

FLEET_KEYS = frozenset({"models", "budgets", "routers"})
POLICY_KEYS = frozenset({"version", "source", "loaded_at_s", "route_count", "refused"})


class Unreachable(RuntimeError):
    """The application does not answer. The message is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Application:
    """`GET /v1/fleet` and `GET /v1/policy`, as one router replica answered them."""

    fleet: Any
    policy: Any


def read_application(get: Get) -> Application:
    """Raises Unreachable."""
    fleet, policy = get("v1/fleet"), get("v1/policy")
    if not (_keys(fleet) >= FLEET_KEYS and _keys(policy) >= POLICY_KEYS):
        raise Unreachable(
            "what answers is no Atelier, or one of another version: compare it with this command's"
        )
    return Application(fleet, policy)


def at_url(url: str, api_key: str | None, timeout_s: float) -> Get:
    def get(path: str) -> Any:
        address = f"{url.rstrip('/')}/{path}"
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        try:
            request = urllib.request.Request(address, headers=headers)
            with urllib.request.urlopen(request, timeout=timeout_s) as response:
                return _document(response.read(MOST_BYTES), address)
        except urllib.error.HTTPError as error:
            raise Unreachable(f"{address} answers {_refusal(error.code)}") from None
        except TimeoutError:
            raise Unreachable(f"{address} gives no answer within {timeout_s:g} s") from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"{address} cannot be reached: {reason}") from None

    return get


def through_cluster(client: Any, namespace: str, service: str, timeout_s: float) -> Get:
    core = kubernetes_client.CoreV1Api(client)
    advice = (
        f"run `kubectl -n {namespace} port-forward svc/{service} 8000` and say --url http://127.0.0.1:8000"
    )

    def get(path: str) -> Any:
        where = f"Service {service}, asked through the Kubernetes API for {path},"
        try:
            answer = core.connect_get_namespaced_service_proxy_with_path(
                *(f"{service}:8000", namespace, path),
                _request_timeout=(min(CONNECT_TIMEOUT_S, timeout_s), timeout_s),
                _preload_content=False,
            )
            return _document(answer.data, where)
        except FAILURES as error:
            status = getattr(error, "status", None)
            reason = f"answers {_refusal(status)}" if status else f"does not answer: {brief(error)}"
            raise Unreachable(f"{where} {reason}; {advice}") from None

    return get


def _keys(document: Any) -> frozenset[str]:
    return frozenset(document) if isinstance(document, dict) else frozenset()


def _refusal(status: int) -> str:
    if status in (401, 403):
        return f"HTTP {status}: it needs an API key (--api-key-file, with --url), or an account that may ask"
    return f"HTTP {status}"


def _document(data: bytes, where: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise Unreachable(f"{where} answers something that is not JSON: is it Atelier?") from None

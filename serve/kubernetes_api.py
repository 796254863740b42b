"""Opens the Kubernetes API, and says in one line why it did not answer.

Inside a pod the service account is used, elsewhere the kubeconfig. No error here holds a token, a header or a
body of the server's answer. Knows nothing of what is asked.
"""

from typing import Any

from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, TimeoutError

CONNECT_TIMEOUT_S = 5.0

# How a call fails when the server refuses it, is away, restarts or is not reached.
FAILURES = (kubernetes_client.ApiException, HTTPError, OSError)


class ClusterError(RuntimeError):
    """The API cannot be used. The message is a sentence that says what to do."""


def open_client(kubeconfig: str | None = None, context: str | None = None) -> Any:
    """An ApiClient that does not retry by itself: who calls it knows when. Raises ClusterError."""
    configuration = kubernetes_client.Configuration()
    try:
        _load(configuration, kubeconfig, context)
    except kubernetes_config.ConfigException as error:
        raise ClusterError(
            f"no way into a Kubernetes cluster ({error}): name a kubeconfig, or run in a pod whose service "
            "account has a token"
        ) from None
    configuration.retries = False
    return kubernetes_client.ApiClient(configuration)


def _load(configuration: Any, kubeconfig: str | None, context: str | None) -> None:
    if kubeconfig is None and context is None:
        try:
            kubernetes_config.load_incluster_config(client_configuration=configuration)
            return
        except kubernetes_config.ConfigException:
            pass  # not in a pod
    kubernetes_config.load_kube_config(kubeconfig, context, client_configuration=configuration)


def brief(error: BaseException) -> str:
    """One line without headers or bodies of the server's answer."""
    if isinstance(error, kubernetes_client.ApiException) and error.status:
        return f"HTTP {error.status} {error.reason or ''}".strip()
    if isinstance(error, MaxRetryError) and error.reason is not None:
        error = error.reason
    if isinstance(error, NewConnectionError):
        return "it does not accept connections"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"{type(error).__name__}: {error}"

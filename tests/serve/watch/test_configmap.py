"""The ConfigMap watch against a server that speaks real HTTP watch."""

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client as kubernetes_client

from serve.kubernetes_api import ClusterError
from serve.watch.configmap import ConfigMapSource, Texts
from tests.serve.watch.api_server import ApiServer

TIMEOUT_S = 10.0


def source_of(url: str) -> ConfigMapSource:
    """Of the policy in `studio`, from the server at `url`; quick to come back."""
    configuration = kubernetes_client.Configuration(host=url)
    configuration.retries = False
    core = kubernetes_client.CoreV1Api(kubernetes_client.ApiClient(configuration))
    return ConfigMapSource("studio", "policy", "policy.yaml", core, min_backoff_s=0.01, max_backoff_s=0.02)


class Watching:
    """A source that runs in a thread; `next()` is the next text it handed on."""

    def __init__(self, api: ApiServer | str, on_change: Any = None) -> None:
        source = source_of(api if isinstance(api, str) else api.url)
        self._texts: queue.Queue[Texts] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=source.run, args=(on_change or self._texts.put, self._stop), daemon=True
        )
        self._thread.start()

    def next(self) -> str:
        return self.next_texts()["policy.yaml"]

    def next_texts(self) -> Texts:
        return self._texts.get(timeout=TIMEOUT_S)

    def nothing_waits(self) -> bool:
        return self._texts.empty()

    def stop(self) -> bool:
        """True when the thread ended in time."""
        self._stop.set()
        self._thread.join(TIMEOUT_S)
        return not self._thread.is_alive()


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def watching(api: ApiServer) -> Iterator[Watching]:
    api.put("policy", {"policy.yaml": "one"})
    running = Watching(api)
    try:
        assert running.next() == "one"
        api.await_watches(1)
        yield running
    finally:
        assert running.stop()


def _change(api: ApiServer, text: str) -> None:
    api.put("policy", {"policy.yaml": text})


def test_hands_on_each_change(api: ApiServer, watching: Watching) -> None:
    _change(api, "two")
    assert watching.next() == "two"
    _change(api, "three")
    assert watching.next() == "three"
    assert len(api.requests) == 2, "one list and one watch are enough"


def test_asks_only_for_its_own_configmap(api: ApiServer, watching: Watching) -> None:
    """A Role with resourceNames allows list and watch only with this selector."""
    assert {request.field_selector for request in api.requests} == {"metadata.name=policy"}
    api.put("other", {"policy.yaml": "not ours"})
    _change(api, "two")
    assert watching.next() == "two"


def test_same_texts_are_not_handed_on_again(api: ApiServer, watching: Watching) -> None:
    _change(api, "one")
    _change(api, "two")
    assert watching.next() == "two"


def test_hands_on_all_keys_and_a_change_of_any(api: ApiServer, watching: Watching) -> None:
    """A policy may include others: they lie beside it in the same ConfigMap."""
    api.put("policy", {"policy.yaml": "one", "more.yaml": "x"})
    assert watching.next_texts() == {"policy.yaml": "one", "more.yaml": "x"}


def test_waits_for_a_configmap_that_does_not_exist_yet(api: ApiServer) -> None:
    running = Watching(api)
    api.await_watches(1)
    api.put("policy", {"policy.yaml": "first"})
    assert running.next() == "first"
    assert running.stop()


def test_keeps_the_last_text_when_key_or_configmap_vanish(api: ApiServer, watching: Watching) -> None:
    api.put("policy", {"renamed.yaml": "x"})
    api.delete("policy")
    _change(api, "back")
    assert watching.next() == "back"


def test_resumes_from_its_version_after_a_lost_connection(api: ApiServer, watching: Watching) -> None:
    _change(api, "two")
    assert watching.next() == "two"
    seen = str(api.version)
    api.cut_watches()
    assert api.await_watches(2).resource_version == seen
    _change(api, "three")
    assert watching.next() == "three"
    assert len(api.lists) == 1


def test_misses_nothing_that_changed_while_disconnected(api: ApiServer, watching: Watching) -> None:
    with api.changed:
        api.failures.extend([503] * 3)
    api.cut_watches()
    _change(api, "two")
    assert watching.next() == "two"
    assert len(api.lists) == 1


def test_resumes_after_a_watch_that_ended(api: ApiServer, watching: Watching) -> None:
    api.end_watches()
    api.await_watches(2)
    _change(api, "two")
    assert watching.next() == "two"


def test_half_a_line_is_not_an_event(api: ApiServer, watching: Watching) -> None:
    api.garble_watches()
    api.await_watches(2)
    _change(api, "two")
    assert watching.next() == "two"


def test_bookmark_moves_the_version_on(api: ApiServer, watching: Watching) -> None:
    assert api.watches[0].bookmarks
    api.bookmark()
    marked = str(api.version)
    _wait_until_sent(api, watching)
    assert int(api.await_watches(2).resource_version or 0) >= int(marked)
    assert len(api.lists) == 1


def _wait_until_sent(api: ApiServer, watching: Watching) -> None:
    """A change travels behind the bookmark on the same connection: when it is here, so was the bookmark."""
    _change(api, "behind the bookmark")
    assert watching.next() == "behind the bookmark"
    api.cut_watches()


def test_gone_in_the_stream_leads_to_a_new_list(api: ApiServer, watching: Watching) -> None:
    with api.changed:
        api.objects["policy"]["data"] = {"policy.yaml": "changed unseen"}
        api.forget()
    assert watching.next() == "changed unseen"
    assert len(api.lists) == 2


def test_gone_as_an_answer_leads_to_a_new_list(api: ApiServer, watching: Watching) -> None:
    with api.changed:
        api.failures.append(410)
    api.cut_watches()
    api.await_watches(3)
    assert len(api.lists) == 2
    _change(api, "two")
    assert watching.next() == "two"


@pytest.mark.parametrize("status", [403, 429, 500])
def test_failing_list_is_retried(api: ApiServer, status: int) -> None:
    api.put("policy", {"policy.yaml": "one"})
    api.failures.extend([status] * 3)
    running = Watching(api)
    assert running.next() == "one"
    assert len(api.lists) == 4
    assert running.stop()


def test_callback_that_raises_does_not_end_the_watch(
    api: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    texts: queue.Queue[str] = queue.Queue()

    def refuse_first(changed: Texts) -> None:
        text = changed["policy.yaml"]
        texts.put(text)
        if text == "bad":
            raise ValueError("refused")

    api.put("policy", {"policy.yaml": "bad"})
    running = Watching(api, refuse_first)
    assert texts.get(timeout=TIMEOUT_S) == "bad"
    api.await_watches(1)
    _change(api, "good")
    assert texts.get(timeout=TIMEOUT_S) == "good"
    assert running.stop()
    assert "could not be applied" in caplog.text


def test_stops_while_blocked_on_a_silent_watch(api: ApiServer) -> None:
    api.put("policy", {"policy.yaml": "one"})
    running = Watching(api)
    api.await_watches(1)
    assert running.stop()


def test_server_that_is_away_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with ApiServer() as gone:
        url = gone.url
    running = Watching(url)
    assert running.nothing_waits()
    assert running.stop()


def test_backoff_doubles_up_to_its_ceiling() -> None:
    source = ConfigMapSource("studio", "policy", "k", client=object(), min_backoff_s=0.5, max_backoff_s=8.0)
    for failures, ceiling_s in [(0, 0.5), (1, 1.0), (3, 4.0), (4, 8.0), (5000, 8.0)]:
        delays_s = [source._backoff_s(failures) for _ in range(200)]
        assert ceiling_s / 2 <= min(delays_s) <= max(delays_s) <= ceiling_s
        assert max(delays_s) - min(delays_s) > ceiling_s / 4, "replicas would return together"


def test_reads_once_and_does_not_hand_that_on_again(api: ApiServer) -> None:
    api.put("policy", {"policy.yaml": "one"})
    source, texts, stop = source_of(api.url), queue.Queue[Texts](), threading.Event()
    assert source.read() == {"policy.yaml": "one"}
    thread = threading.Thread(target=source.run, args=(texts.put, stop), daemon=True)
    thread.start()
    api.await_watches(1)
    _change(api, "two")
    assert texts.get(timeout=TIMEOUT_S) == {"policy.yaml": "two"}
    stop.set()
    thread.join(TIMEOUT_S)
    assert len(api.lists) == 1


@pytest.mark.parametrize(
    ("data", "failures", "words"),
    [
        (None, [], "studio/policy does not exist"),
        ({"other.yaml": "x"}, [], "has no key 'policy.yaml'; it has other.yaml"),
        ({"policy.yaml": "x"}, [403], "HTTP 403 Forbidden"),
        ({"policy.yaml": "x"}, [503], "HTTP 503"),
    ],
)
def test_a_read_that_fails_says_why(
    api: ApiServer, data: dict[str, str] | None, failures: list[int], words: str
) -> None:
    if data is not None:
        api.put("policy", data)
    api.failures.extend(failures)
    with pytest.raises(ClusterError, match=words):
        source_of(api.url).read()


def test_a_read_from_a_server_that_is_away_says_so() -> None:
    with ApiServer() as gone:
        url = gone.url
    with pytest.raises(ClusterError, match="does not accept connections"):
        source_of(url).read()

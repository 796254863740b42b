import threading

import pytest

from routing.policy import PolicyError
from routing.store import VERSIONS_KEPT, Change, PolicyStore, Refused, UnknownVersion
from routing.types import AssetRequest, Snapshot
from tests.routing.builders import MODELS, SEED_POLICY

OTHER = "default: {model: fast}"
BROKEN = "default: {model: nope}"


def store() -> PolicyStore:
    return PolicyStore(MODELS, SEED_POLICY, "p.yaml", now_s=1.0)


def test_a_good_text_comes_into_force():
    policies = store()
    before = policies.current
    change = policies.offer(OTHER, "p.yaml", 2.0)
    assert change == Change(before.version, policies.current.version, 2.0, "p.yaml")
    assert policies.current.engine.decide(AssetRequest("x"), Snapshot(), 0.0).route == "default"
    assert before.engine.decide(AssetRequest("poster"), Snapshot(), 0.0).policy_version == before.version


def test_a_broken_text_never_comes_into_force_and_is_kept_to_show():
    policies = store()
    before = policies.current
    refused = policies.offer(BROKEN, "p.yaml", 2.0)
    assert isinstance(refused, Refused)
    assert policies.current is before
    assert policies.refused is refused
    assert policies.describe()["refused"]["problems"] == [
        "p.yaml:1:18: default.model: there is no model 'nope'; the models are " + ", ".join(sorted(MODELS))
    ]
    policies.offer(OTHER, "p.yaml", 3.0)
    assert policies.refused is None


def test_a_broken_first_text_is_an_error():
    with pytest.raises(PolicyError):
        PolicyStore(MODELS, BROKEN, "p.yaml")


def test_the_same_text_again_changes_nothing():
    policies = store()
    before = policies.current
    change = policies.offer(SEED_POLICY, "p.yaml", 2.0)
    assert isinstance(change, Change)
    assert change.before == change.after == before.version
    assert policies.current is before
    assert len(policies.history) == 1


def test_rollback_brings_an_earlier_version_back():
    policies = store()
    first = policies.current.version
    policies.offer(OTHER, "p.yaml", 2.0)
    change = policies.rollback(first, 3.0)
    assert change.rollback
    assert policies.current.version == first
    assert [each.after for each in policies.history] == [first, change.before, first]


def test_a_version_that_was_never_in_force_cannot_be_rolled_back_to():
    policies = store()
    with pytest.raises(UnknownVersion) as unknown:
        policies.rollback("nope")
    assert policies.current.version in str(unknown.value)


def test_history_is_bounded_and_never_loses_what_is_in_force():
    policies = store()
    for index in range(VERSIONS_KEPT + 5):
        policies.offer(f"default: {{model: fast, steps: {index + 1}}}", "p.yaml", float(index))
    assert len(policies.versions) == VERSIONS_KEPT
    assert policies.versions[-1] == policies.current.version


def test_readers_see_whole_policies_while_writers_swap_them():
    policies = store()
    texts = [f"default: {{name: r{i}, model: fast, max_latency_ms: {1000 + i}}}" for i in range(40)]
    done, torn = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            current = policies.current
            decision = current.engine.decide(AssetRequest("poster"), Snapshot(), 0.0)
            if decision.policy_version != current.version:
                torn.append(decision)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for index, text in enumerate(texts):
        policies.offer(BROKEN if index % 10 == 9 else text, "p.yaml", float(index))
    done.set()
    for reader in readers:
        reader.join()
    assert not torn
    assert policies.current.policy.default is not None
    assert policies.current.policy.default.name == "r38"

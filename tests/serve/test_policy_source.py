from pathlib import Path

import pytest

from routing.policy import PolicyError
from routing.store import PolicyStore
from serve.config import AppConfig, ConfigError, parse_config
from serve.metrics import NoObserver
from serve.policy_source import PolicyWatch, open_store, raster_shelf
from tests.serve.gateways import MODELS, SEED_POLICY

MORE = SEED_POLICY + "default: {model: typography_focused}\n"


class Counting(NoObserver):
    def __init__(self) -> None:
        self.offered: list[bool] = []

    def policy_offered(self, accepted: bool) -> None:
        self.offered.append(accepted)


def config(path: Path) -> AppConfig:
    return parse_config({"models": dict(MODELS), "policy": {"path": str(path)}})


def watched(path: Path) -> tuple[PolicyStore, PolicyWatch, Counting]:
    app, counting = config(path), Counting()
    store = open_store(app, raster_shelf(app))
    return store, PolicyWatch(str(path), 0.1, store, counting), counting


def test_a_new_text_comes_into_force_and_the_same_text_is_not_offered(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(SEED_POLICY)
    store, watch, counting = watched(file)
    first = store.current.version
    watch.look()
    file.write_text(SEED_POLICY)
    watch.look()
    assert counting.offered == []
    file.write_text(MORE)
    watch.look()
    assert store.current.version != first
    assert counting.offered == [True]


def test_a_broken_text_changes_nothing_and_is_kept_for_display(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(SEED_POLICY)
    store, watch, counting = watched(file)
    first = store.current.version
    file.write_text("model_routing: [{pattern: '(', model: nobody}]")
    watch.look()
    watch.look()
    assert store.current.version == first
    assert store.refused is not None
    assert counting.offered == [False]
    file.write_text(SEED_POLICY)
    watch.look()
    assert store.refused is None


def test_a_file_that_vanishes_for_a_moment_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(SEED_POLICY)
    store, watch, counting = watched(file)
    file.unlink()
    watch.look()
    file.write_text(MORE)
    watch.look()
    assert counting.offered == [True]
    assert store.current.policy.default is not None


def test_a_mounted_config_map_swaps_a_link(tmp_path: Path) -> None:
    for name, text in (("v1", SEED_POLICY), ("v2", MORE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    store, watch, _ = watched(tmp_path / "policy.yaml")
    (tmp_path / "..tmp").symlink_to("v2")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    watch.look()
    assert store.current.policy.default is not None


def test_a_change_of_an_included_file_is_seen(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("includes: [more.yaml]\n")
    (tmp_path / "more.yaml").write_text(SEED_POLICY)
    store, watch, _ = watched(tmp_path / "policy.yaml")
    first = store.current.version
    (tmp_path / "more.yaml").write_text(MORE)
    watch.look()
    assert store.current.version != first


def test_the_first_policy_must_load(tmp_path: Path) -> None:
    app = config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        open_store(app, raster_shelf(app))
    (tmp_path / "none.yaml").write_text("model_routing: [{pattern: x, model: nobody}]")
    with pytest.raises(PolicyError, match="nobody"):
        open_store(app, raster_shelf(app))

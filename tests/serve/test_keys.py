from pathlib import Path

import pytest

from serve import keys
from serve.keys import KeyRing, KeysError, entry, new_key


def write(file: Path, *lines: str) -> str:
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def test_a_key_names_its_tenant_and_no_other_key_does(tmp_path: Path) -> None:
    first, second = new_key(), new_key()
    ring = KeyRing(write(tmp_path / "keys", "# ours", entry("design", first), "", entry("shop", second)))
    assert ring.tenant(first) == "design"
    assert ring.tenant(second) == "shop"
    assert ring.tenant(new_key()) is None
    assert ring.tenant("") is None


def test_the_file_holds_no_key(tmp_path: Path) -> None:
    key = new_key()
    assert key not in entry("design", key)


def test_rotation_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = new_key(), new_key()
    file = tmp_path / "keys"
    ring = KeyRing(write(file, entry("design", old)))
    monkeypatch.setattr(keys, "RELOAD_INTERVAL_S", 0.0)
    write(file, entry("design", old), entry("design", new))
    assert (ring.tenant(old), ring.tenant(new)) == ("design", "design")
    write(file, entry("design", new))
    assert (ring.tenant(old), ring.tenant(new)) == (None, "design")


def test_a_bad_file_leaves_the_keys_that_were_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, file = new_key(), tmp_path / "keys"
    ring = KeyRing(write(file, entry("design", key)))
    monkeypatch.setattr(keys, "RELOAD_INTERVAL_S", 0.0)
    write(file, "nonsense")
    assert ring.tenant(key) == "design"
    file.unlink()
    assert ring.tenant(key) == "design"


@pytest.mark.parametrize("line", ["design", "design:abc", "a b:" + "0" * 64, "design:" + "G" * 64])
def test_a_bad_line_is_named_by_number_and_not_shown(tmp_path: Path, line: str) -> None:
    with pytest.raises(KeysError) as caught:
        KeyRing(write(tmp_path / "keys", "# first", line))
    assert "keys:2:" in str(caught.value)
    assert line not in str(caught.value)


def test_an_empty_or_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="holds no key"):
        KeyRing(write(tmp_path / "keys", "# nothing"))
    with pytest.raises(KeysError, match="cannot be read"):
        KeyRing(str(tmp_path / "none"))


def test_a_tenant_name_that_no_line_may_hold() -> None:
    with pytest.raises(ValueError, match="not a tenant name"):
        entry("a:b", new_key())

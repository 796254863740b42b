from pathlib import Path

import pytest
from pydantic import ValidationError

from deployments.hosted.keys import KeySource, KeyUnavailable


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", " sk-1\n")
    assert KeySource(env="SOME_KEY").read() == "sk-1"


def test_a_rotated_secret_is_in_use_at_once(tmp_path: Path) -> None:
    file = tmp_path / "openai"
    source = KeySource(file=str(file))
    for key in ("sk-old", "sk-new"):
        file.write_text(key + "\n")
        assert source.read() == key


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(KeyUnavailable, match="environment variable SOME_KEY is not set"):
        KeySource(env="SOME_KEY").read()
    with pytest.raises(KeyUnavailable, match=r"secret file .*/nothing cannot be read \(FileNotFoundError\)"):
        KeySource(file=str(tmp_path / "nothing")).read()


@pytest.mark.parametrize("content", ["", "\n", "sk-1\nsk-2", "sk 1", "sk-\u00fc", "sk-\x00"])
def test_what_no_header_can_carry_never_reaches_a_library(content: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(KeyUnavailable) as caught:
        KeySource(file=str(file)).read()
    assert content.strip() == "" or content.strip() not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KeyUnavailable, match="UnicodeDecodeError"):
        KeySource(file=str(tmp_path / "key")).read()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "exactly one of env and file"),
        ({"env": "A", "file": "/b"}, "exactly one of env and file"),
        ({"env": "sk-live-123"}, "string_pattern_mismatch"),
        ({"env": "ATELIER_OPENAI_KEY"}, "choose another name"),
        ({"key": "sk-live-123"}, "extra_forbidden"),
    ],
)
def test_a_place_is_named_exactly_once(fields: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        KeySource.model_validate(fields)

import pytest

from loadtests.target import TargetRefused, parse_target


def resolve_to(*addresses: str):
    return lambda host: list(addresses)


@pytest.mark.parametrize(
    ("url", "base_url"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("127.9.9.9:8000/", "http://127.9.9.9:8000"),
        ("http://[::1]:8000/atelier/", "http://[::1]:8000/atelier"),
        ("http://127.0.0.1/v1/images/generations", "http://127.0.0.1"),
        ("http://127.0.0.1/x/v1", "http://127.0.0.1/x"),
    ],
)
def test_loopback_addresses_are_allowed(url, base_url):
    assert parse_target(url, resolve=resolve_to()).base_url == base_url


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1", "http://192.168.1.2:8000", "http://[2001:db8::1]", "http://8.8.8.8"]
)
def test_other_addresses_are_refused_and_the_message_names_the_flag(url):
    with pytest.raises(TargetRefused, match="--allow-remote"):
        parse_target(url)


def test_a_name_is_local_only_when_all_its_addresses_are():
    assert parse_target("http://localhost:1", resolve=resolve_to("127.0.0.1", "::1"))
    with pytest.raises(TargetRefused, match="not this machine"):
        parse_target("http://both.example", resolve=resolve_to("127.0.0.1", "10.0.0.1"))
    with pytest.raises(TargetRefused, match="not this machine"):
        parse_target("http://nowhere.example", resolve=resolve_to())


def test_a_remote_target_needs_the_operators_word():
    assert parse_target("https://images.example/", allow_remote=True).base_url == "https://images.example"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://127.0.0.1", "http://"),
        ("http://", "no host"),
        ("http://127.0.0.1:99999", "port"),
        ("http://me:secret@127.0.0.1", "credentials"),
    ],
)
def test_malformed_urls_are_refused_with_the_reason(url, message):
    with pytest.raises(TargetRefused, match=message):
        parse_target(url)

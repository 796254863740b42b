import pytest

from serve.cli.address import address_of


@pytest.mark.parametrize(
    ("host", "text", "url", "is_loopback"),
    [
        ("127.0.0.1", "127.0.0.1:80", "http://127.0.0.1:80", True),
        ("127.9.9.9", "127.9.9.9:80", "http://127.9.9.9:80", True),
        ("localhost", "localhost:80", "http://localhost:80", True),
        ("0.0.0.0", "0.0.0.0:80", "http://127.0.0.1:80", False),
        ("10.0.0.7", "10.0.0.7:80", "http://10.0.0.7:80", False),
        ("127.example.com", "127.example.com:80", "http://127.example.com:80", False),
        ("::1", "[::1]:80", "http://[::1]:80", True),
        ("[::1]", "[::1]:80", "http://[::1]:80", True),
        ("0:0:0:0:0:0:0:1", "[0:0:0:0:0:0:0:1]:80", "http://[0:0:0:0:0:0:0:1]:80", True),
        ("::", "[::]:80", "http://[::1]:80", False),
        ("fd00::2", "[fd00::2]:80", "http://[fd00::2]:80", False),
    ],
)
def test_an_address(host: str, text: str, url: str, is_loopback: bool) -> None:
    address = address_of(host, 80)
    assert (str(address), address.url, address.is_loopback) == (text, url, is_loopback)

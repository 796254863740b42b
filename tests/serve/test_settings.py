import pytest

from serve.settings import SettingsError, read_settings


def test_reads_what_is_set() -> None:
    settings = read_settings(
        {
            "ATELIER_PORT": "8100",
            "ATELIER_HOST": "",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
            "HOME": "/x",
        }
    )
    assert (settings.port, settings.host, settings.otlp_endpoint) == (8100, None, "http://c:4318")


def test_an_unknown_variable_is_named_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"ATELIER_PROT is not a setting; known are .*ATELIER_PORT"):
        read_settings({"ATELIER_PROT": "1"})


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "80.5"])
def test_a_bad_port_is_quoted(port: str) -> None:
    with pytest.raises(SettingsError, match="ATELIER_PORT"):
        read_settings({"ATELIER_PORT": port})

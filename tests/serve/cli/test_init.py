import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from serve.cli import _COMMANDS, main

ROOT = Path(__file__).parents[3]


def test_the_help_lists_every_command_with_what_it_does() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    _, _, commands = result.output.partition("Commands:\n")
    described = dict(line.split(maxsplit=1) for line in commands.splitlines())
    assert list(described) == sorted(_COMMANDS)


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_every_command_loads_and_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_an_unknown_command_is_named() -> None:
    result = CliRunner().invoke(main, ["sevre"])
    assert result.exit_code == 2
    assert "No such command 'sevre'" in result.output


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(main, ["--version"]).output.startswith("atelier, version ")


def test_checking_a_policy_waits_for_neither_ray_nor_torch() -> None:
    code = (
        "import sys\n"
        "from serve.cli import main\n"
        "main(['policy', 'lint', 'examples/policy.yaml'], standalone_mode=False)\n"
        "print([name for name in ('ray', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"

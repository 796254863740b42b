"""`atelier ...`: one module per command. Errors are one line that says what to do, and exit status 2."""

import importlib
import sys

import click

_COMMANDS = {
    "up": ("serve.cli.up", "up"),
    "policy": ("serve.cli.policy", "policy"),
    "profile": ("serve.cli.profile", "profile"),
    "key": ("serve.cli.key", "key"),
    "simulate": ("serve.cli.simulate", "simulate"),
    "loadtest": ("serve.cli.loadtest", "loadtest"),
    "loadtest-report": ("serve.cli.loadtest", "loadtest_report"),
    "tune": ("serve.cli.tune", "tune_command"),
}


class _LazyGroup(click.Group):
    """Imports a command's module when it is called: `atelier policy lint` does not wait for Ray."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="atelier-serve", prog_name="atelier")
def main() -> None:
    """Serve image models: each request goes to the model that fits its purpose."""


if __name__ == "__main__":
    sys.exit(main())

"""`atelier ...`: one module per command. Errors are one line that says what to do, and exit status 2."""

import sys

import click

from serve.cli.lazy import LazyGroup

_COMMANDS = {
    "audit": ("serve.cli.audit", "audit"),
    "batch": ("serve.cli.batch", "batch"),
    "up": ("serve.cli.up", "up"),
    "plan": ("serve.cli.plan", "plan"),
    "policy": ("serve.cli.policy", "policy"),
    "profile": ("serve.cli.profile", "profile"),
    "receipt": ("serve.cli.receipt", "receipt"),
    "verify": ("serve.cli.verify", "verify"),
    "key": ("serve.cli.key", "key"),
    "status": ("serve.cli.status", "status"),
    "simulate": ("serve.cli.simulate", "simulate"),
    "loadtest": ("serve.cli.loadtest", "loadtest"),
    "loadtest-report": ("serve.cli.loadtest", "loadtest_report"),
    "capacity": ("serve.cli.capacity", "capacity_command"),
    "tune": ("serve.cli.tune", "tune_command"),
}


@click.group(cls=LazyGroup, places=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="atelier-serve", prog_name="atelier")
def main() -> None:
    """Serve image models: each request goes to the model that fits its purpose."""


if __name__ == "__main__":
    sys.exit(main())

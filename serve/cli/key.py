"""`atelier key`: a new API key for a tenant."""

import click

from serve.keys import entry, new_key


@click.command()
@click.argument("tenant")
def key(tenant: str) -> None:
    """Print a new API key for TENANT, and the line that goes into the keys file. The key is shown once."""
    fresh = new_key()
    try:
        line = entry(tenant, fresh)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"key, for the client:       {fresh}")
    click.echo(f"line, for the keys file:   {line}")

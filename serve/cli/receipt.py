"""`atelier receipt`: what a picture's file says of its making, and whether it is still as it was written."""

import json
from pathlib import Path

import click
from pydantic import Field, ValidationError

from deployments.provenance import files
from deployments.provenance.files import Integrity
from deployments.provenance.mark import SOURCE_TYPES, Mark, Unreadable
from serve.kept import Image, Part, Stage

AS_WRITTEN, CHANGED, TROUBLE = 0, 1, 2
_WORDS = {
    Integrity.AS_WRITTEN: "as it was written",
    Integrity.SAME_PIXELS: "written again since, with the same pixels",
    Integrity.CHANGED: "written again since: its pixels are others, or cannot be compared",
}


class _Image(Image):
    model: str
    generated: bool
    pixels_sha256: str | None = None
    file_sha256: str | None = None
    stages: list[Stage] = Field(default_factory=list)


class _Receipt(Part):
    policy_version: str
    route: str
    images: list[_Image] = Field(min_length=1, max_length=1)


class _Trouble(click.ClickException):
    exit_code = TROUBLE


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def receipt(picture: Path, as_json: bool) -> None:
    """Show the receipt in PICTURE (PNG, JPEG, WebP or SVG).

    It is metadata and not signed: whoever has the file can change or remove it. `atelier verify PICTURE`
    renders the request again and compares.

    Exits with 0 if the file has the pixels that it was written with, 1 if that cannot be said any more, 2 if
    it has no receipt or cannot be read.
    """
    try:
        data = picture.read_bytes()
        mark = files.read(data)
        kept = _parsed(mark)
        image = kept.images[0]
        integrity = files.integrity(data, image.file_sha256, image.pixels_sha256)
    except OSError as error:
        raise _Trouble(f"{picture}: cannot be read ({error.strerror})") from None
    except Unreadable as error:
        raise _Trouble(f"{picture}: {error}") from None
    click.echo(_json(mark, integrity) if as_json else _text(mark, kept, integrity))
    raise SystemExit(CHANGED if integrity is Integrity.CHANGED else AS_WRITTEN)


def _parsed(mark: Mark) -> _Receipt:
    """Raises Unreadable."""
    if mark.receipt is None:
        told = f"; its digital source type is {mark.source_type_uri}" if mark.source_type_uri else ""
        raise Unreadable(f"has no receipt{told}")
    try:
        return _Receipt.model_validate_json(mark.receipt)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise Unreadable(f"has a receipt that is none of Atelier's: {where}: {problem['msg']}") from None


def _json(mark: Mark, integrity: Integrity) -> str:
    found = {
        "digital_source_type": mark.source_type_uri,
        "integrity": integrity.value,
        "receipt": json.loads(mark.receipt or "null"),
    }
    return json.dumps(found, indent=2)


def _text(mark: Mark, kept: _Receipt, integrity: Integrity) -> str:
    image = kept.images[0]
    source_type = (mark.source_type_uri or "not said").removeprefix(SOURCE_TYPES)
    rows = [
        ("file", _WORDS[integrity]),
        ("source type", source_type),
        ("route", f"{kept.route} of policy {kept.policy_version}"),
        ("model", image.model if image.generated else f"{image.model} (a baked asset, not generated)"),
        *(("stage", _stage(stage)) for stage in image.stages),
    ]
    return "\n".join(f"{name:<12} {value}" for name, value in rows)


def _stage(stage: Stage) -> str:
    told = [f"{stage.model} at {stage.revision}", f"{stage.width}x{stage.height}"]
    if stage.seed is not None:
        told.append(f"seed {stage.seed}")
    if stage.steps is not None:
        told.append(f"{stage.steps} steps")
    return ", ".join(told)

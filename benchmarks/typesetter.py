"""Does the typesetter set what it was asked to, so that it can be read, and how long does it take?

    python -m benchmarks.typesetter [--specimens 500] [--posters 100] [--seed 1] [--failures out/typesetter]

Over generated texts of every kind, script and size: nothing clipped, contrast, what RapidOCR reads of the
Latin ones; the same over posters on noisy pictures; bytes of two fresh processes; time at 512 px (wall and
CPU of one request at a time). The baseline for time is resvg drawing an empty picture of that size.
"""

import argparse
import asyncio
import hashlib
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import resvg_py
from PIL import Image

from deployments import images
from deployments.types import EncodedImage, Encoding, ImageFormat, Pixels, RenderRequest
from deployments.typesetter.fonts import FontLibrary
from deployments.typesetter.model import TypesetterModel
from deployments.typesetter.spec import TypesetterSpec
from tests.deployments.typesetter.reading import Reader, same_text
from tests.deployments.typesetter.specimens import (
    LATIN_SCRIPTS,
    Specimen,
    measure,
    poster_request,
    scene_of,
    specimens,
)

TIMED_PROMPTS = (
    'a green ui-badge that says "SALE 50%"',
    'a navy banner "Summer collection"',
    'a poster titled "Jazz in the Park"',
    'an orange pill saying "New arrivals" with a star icon',
    'a purple card "Welcome back"',
)
TIMED_SIDE_PX = 512
TIMED_ROUNDS = 20


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specimens", type=int, default=500)
    parser.add_argument("--posters", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the generated texts")
    parser.add_argument("--failures", type=Path, help="folder for pictures that were misread")
    parser.add_argument("--digest", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.digest:
        print(asyncio.run(_digest(40)))
        return 0
    reports = [
        *_report_specimens(options.specimens, options.seed, options.failures),
        *asyncio.run(_report_posters(options.posters, options.failures)),
        _report_determinism(),
        *asyncio.run(_report_time()),
    ]
    return 0 if all(reports) else 1


def _report_specimens(count: int, seed: int, failures: Path | None) -> list[bool]:
    library, reader = FontLibrary(), Reader()
    clear, contrast, read, misread, refused = [], [], 0, [], []
    by_script = dict.fromkeys(sorted(LATIN_SCRIPTS), 0)
    latin = 0
    for specimen in specimens(count, seed):
        try:
            scene = scene_of(specimen, library)
        except Exception as error:
            refused.append((specimen, error))
            continue
        measured = measure(scene)
        clear.append(measured.clear_px)
        if measured.contrast is not None:
            contrast.append(measured.contrast)
        if specimen.script in LATIN_SCRIPTS:
            latin += 1
            pixels = _render(specimen)
            seen = reader.read(pixels)
            read += same_text(seen, specimen.text)
            if not same_text(seen, specimen.text):
                by_script[specimen.script] += 1
                misread.append((specimen, seen))
                _keep(pixels, failures, f"specimen-{len(misread):03}")
    for specimen, error in refused:
        print(f"  refused {specimen}: {error}")
    for specimen, seen in misread:
        print(f"  misread {specimen.width}x{specimen.height} {specimen.kind} {specimen.text!r} as {seen!r}")
    print(f"  misread by script: {by_script}")
    return [
        _line(f"{count} specimens set", f"{len(clear)}", f"= {count}", not refused),
        _line("least space between ink and safe area", f"{min(clear):.1f} px", ">= 0", min(clear) >= 0),
        _line("least contrast, measured", f"{min(contrast):.2f}", ">= 4.5", min(contrast) >= 4.5),
        _line(f"read exactly of {latin} Latin", f"{read / latin:.1%}", ">= 98%", read / latin >= 0.98),
    ]


_models: dict[str, TypesetterModel] = {}


async def _model() -> TypesetterModel:
    if "model" not in _models:
        _models["model"] = TypesetterModel("typesetter", TypesetterSpec(kind="typesetter"))
        await _models["model"].load()
    return _models["model"]


def _render(specimen: Specimen) -> Pixels:
    async def go() -> Pixels:
        options = {"layout": specimen.layout.model_dump(mode="json")}
        request = RenderRequest(
            "specimen", "", specimen.width, specimen.height, 0, options=options, encoding=Encoding()
        )
        return await _pixels(request)

    return asyncio.run(go())


async def _pixels(request: RenderRequest) -> Pixels:
    result = await (await _model()).render(request)
    assert isinstance(result.image, EncodedImage)
    return images.decode(result.image.data)


async def _report_posters(count: int, failures: Path | None) -> list[bool]:
    reader, read, contrasts = Reader(), 0, []
    for seed in range(count):
        request, text = poster_request(seed)
        result = await (await _model()).render(request)
        assert isinstance(result.image, EncodedImage)
        contrasts.append(result.receipt.details["contrast_ratio"])
        pixels = images.decode(result.image.data)
        seen = reader.read(pixels)
        read += same_text(seen, text)
        if not same_text(seen, text):
            print(f"  misread poster {seed} {text!r} as {seen!r}")
            _keep(pixels, failures, f"poster-{seed:03}")
    return [
        _line(
            f"{count} posters over noise, least contrast",
            f"{min(contrasts):.2f}",
            ">= 4.5",
            min(contrasts) >= 4.5,
        ),
        _line("posters read exactly", f"{read / count:.1%}", ">= 95%", read / count >= 0.95),
    ]


def _report_determinism() -> bool:
    command = [sys.executable, "-m", "benchmarks.typesetter", "--digest"]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    return _line(
        "40 pictures from two fresh processes",
        "equal" if first == second else "differ",
        "equal",
        first == second,
    )


async def _digest(count: int) -> str:
    digest = hashlib.sha256()
    for index, specimen in enumerate(specimens(count)):
        options = {"layout": specimen.layout.model_dump(mode="json")}
        encoding = Encoding((ImageFormat.PNG, ImageFormat.SVG, ImageFormat.WEBP)[index % 3])
        request = RenderRequest(
            "d", "", specimen.width, specimen.height, 0, options=options, encoding=encoding
        )
        result = await (await _model()).render(request)
        assert isinstance(result.image, EncodedImage)
        digest.update(result.image.data)
    return digest.hexdigest()


async def _report_time() -> list[bool]:
    model = await _model()
    wall, cpu = [], []
    for _ in range(TIMED_ROUNDS):
        for prompt in TIMED_PROMPTS:
            request = RenderRequest("t", prompt, TIMED_SIDE_PX, TIMED_SIDE_PX, 1, encoding=Encoding())
            started, used = time.perf_counter(), time.process_time()
            await model.render(request)
            wall.append((time.perf_counter() - started) * 1000)
            cpu.append((time.process_time() - used) * 1000)
    baseline = _empty_picture_ms()
    ratio = median(cpu) / baseline
    p99 = sorted(wall)[int(len(wall) * 0.99)]
    print(f"  CPU p50 {median(cpu):.1f} ms, {ratio:.1f} times an empty picture ({baseline:.1f} ms)")
    print(f"  wall p99 {p99:.1f} ms")
    return [
        _line(f"wall p50 at {TIMED_SIDE_PX} px", f"{median(wall):.1f} ms", "<= 30 ms", median(wall) <= 30)
    ]


def _empty_picture_ms() -> float:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{TIMED_SIDE_PX}" height="{TIMED_SIDE_PX}"/>'
    used = []
    for _ in range(TIMED_ROUNDS):
        started = time.process_time()
        resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
        used.append((time.process_time() - started) * 1000)
    return median(used)


def _keep(pixels: Pixels, folder: Path | None, name: str) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{name}.png")


def _line(what: str, value: str, bar: str, holds: bool) -> bool:
    print(f"{what:45} {value:>10}   {bar:8} {'ok' if holds else 'MISSED'}", flush=True)
    return holds


if __name__ == "__main__":
    sys.exit(main())

"""Baked images that answer when every model has failed: those that the policies in force name, in memory."""

import asyncio
from pathlib import Path

from deployments import images
from deployments.raster import RasterAsset, RasterLibrary, framed
from deployments.types import EncodedImage, Encoding, Pixels
from routing.document import Problem
from routing.policy import Policy, PolicyError


class RasterShelf:
    """Assets by their path below `folder`. A policy that names one that does not decode is refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._assets: dict[str, RasterAsset] = {}

    def check(self, policy: Policy) -> None:
        """Loads what the policy names. Raises PolicyError with the place of the route. Blocking.

        What earlier policies named stays: requests that started under them may still ask for it.
        """
        problems = []
        for index, route in enumerate(policy.all_routes):
            raster = route.spec.raster_fallback
            if raster is None:
                continue
            name = raster.asset
            try:
                self._assets[name] = RasterLibrary.load(self._folder, [name]).asset(name)
            except ValueError as error:
                problems.append(_problem(policy, index, str(error)))
        if problems:
            raise PolicyError(tuple(problems))

    async def image(
        self, name: str, width: int | None, height: int | None, encoding: Encoding
    ) -> EncodedImage:
        return await asyncio.to_thread(self._assets[name].render, width, height, encoding)

    async def ground(self, name: str, width: int | None, height: int | None) -> Pixels:
        """The asset alone, for words to be set over, as large as it stands in `image`."""
        return await asyncio.to_thread(self._assets[name].scaled, width, height)

    async def framed(self, worded: EncodedImage, width: int, height: int, encoding: Encoding) -> EncodedImage:
        """What became of a ground, where it stands in `image`."""

        def frame() -> EncodedImage:
            return images.encode(framed(images.decode(worded.data), width, height), encoding)

        return await asyncio.to_thread(frame)


def _problem(policy: Policy, index: int, message: str) -> Problem:
    route = policy.all_routes[index].name
    if index < len(policy.written_at):
        place = policy.written_at[index]
        return Problem(place.source, place.line, place.column, f"{route}.raster_fallback", message)
    return Problem(policy.source, 1, 1, f"{route}.raster_fallback", message)

"""A spec becomes a hosted model."""

import logging

from deployments.hosted.fetch import Fetcher
from deployments.hosted.ideogram import Ideogram
from deployments.hosted.model import HostedModel
from deployments.hosted.openai_images import OpenAICompatible, OpenAIImages
from deployments.hosted.openai_models import RETIRED
from deployments.hosted.provider import Provider
from deployments.hosted.spec import IdeogramSpec, OpenAICompatibleSpec, OpenAIImagesSpec

logger = logging.getLogger("atelier.hosted")


def build_hosted(name: str, spec: OpenAIImagesSpec | OpenAICompatibleSpec | IdeogramSpec) -> HostedModel:
    """Raises KeyUnavailable when the key is not there: rather now than with the first request."""
    if spec.api_key is not None:
        spec.api_key.read()
    return HostedModel(name, spec, _provider(name, spec), Fetcher(spec.base_url, spec))


def _provider(name: str, spec: OpenAIImagesSpec | OpenAICompatibleSpec | IdeogramSpec) -> Provider:
    match spec:
        case OpenAIImagesSpec():
            if spec.model in RETIRED:
                logger.warning("model %s: OpenAI shut %s down on %s", name, spec.model, RETIRED[spec.model])
            return OpenAIImages(spec)
        case OpenAICompatibleSpec():
            return OpenAICompatible(name, spec)
        case IdeogramSpec():
            return Ideogram(spec)

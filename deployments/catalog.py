"""Which kinds of models there are: joins their specs, and loads the code of one only when it is built."""

from typing import Annotated, assert_never

from pydantic import Field

from deployments.denoiser.spec import DenoiserSpec
from deployments.diffusion.spec import DiffusionSpec
from deployments.engine.observer import StepObserver
from deployments.fakes import EchoSpec
from deployments.hosted.spec import IdeogramSpec, OpenAICompatibleSpec, OpenAIImagesSpec
from deployments.model import Model
from deployments.typesetter.spec import TypesetterSpec
from deployments.upscaler.spec import UpscalerSpec

ModelSpec = Annotated[
    DiffusionSpec
    | TypesetterSpec
    | UpscalerSpec
    | DenoiserSpec
    | OpenAIImagesSpec
    | OpenAICompatibleSpec
    | IdeogramSpec
    | EchoSpec,
    Field(discriminator="kind"),
]


def build_model(name: str, spec: ModelSpec, observer: StepObserver | None = None) -> Model:
    """The model that `spec` describes, not loaded yet. `observer` is told of steps, where it has any."""
    match spec:
        case DiffusionSpec():
            from deployments.diffusion.model import DiffusionModel

            return DiffusionModel(name, spec, observer)
        case TypesetterSpec():
            from deployments.typesetter.model import TypesetterModel

            return TypesetterModel(name, spec)
        case UpscalerSpec():
            from deployments.upscaler.model import UpscalerModel

            return UpscalerModel(name, spec)
        case DenoiserSpec():
            from deployments.denoiser.model import DenoiserModel

            return DenoiserModel(name, spec)
        case OpenAIImagesSpec() | OpenAICompatibleSpec() | IdeogramSpec():
            from deployments.hosted.build import build_hosted

            return build_hosted(name, spec)
        case EchoSpec():
            from deployments.fakes import EchoModel

            return EchoModel(name, spec)
        case _:
            assert_never(spec)

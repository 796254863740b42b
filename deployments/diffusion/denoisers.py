"""Which way a pipeline is driven."""

from deployments.diffusion.cut import denoiser_name
from deployments.diffusion.loras import Loras
from deployments.diffusion.opaque import OpaqueDenoiser
from deployments.diffusion.pipelines import PipelineSet
from deployments.diffusion.spec import DiffusionSpec
from deployments.diffusion.stepwise import StepwiseDenoiser

AnyDenoiser = StepwiseDenoiser | OpaqueDenoiser


def choose_denoiser(pipelines: PipelineSet, spec: DiffusionSpec) -> AnyDenoiser:
    """As `spec.execution` says. Raises ValueError if stepwise is asked for and cannot be."""
    name = denoiser_name(pipelines.base)
    loras = Loras(pipelines.base, getattr(pipelines.base, name) if name else None, spec.loras)
    if spec.execution == "opaque" or (spec.execution == "auto" and name is None):
        return OpaqueDenoiser(pipelines, loras)
    return StepwiseDenoiser(pipelines, loras)

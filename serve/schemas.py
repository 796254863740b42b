"""Wire models: OpenAI's Images API under OpenAI's names, and our one extension object, `atelier`.

Closed: an unknown field is an error that names it. `moderation` and `style`, which clients of OpenAI's send
by habit, are accepted and change nothing: what a hosted model is to be told of them stands in its spec.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.provenance.mark import Metadata


class Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(Wire):
    """What callers send."""

    @model_validator(mode="before")
    @classmethod
    def _one_unknown_field(cls, given: Any) -> Any:
        """Keeps the first unknown field, which is refused. An error for each of a hundred thousand would take
        two hundred times the memory of the request."""
        if not isinstance(given, dict) or len(given) <= len(cls.model_fields):
            return given
        known = {name: value for name, value in given.items() if name in cls.model_fields}
        unknown = next(name for name in given if name not in cls.model_fields)
        return {**known, unknown: given[unknown]}


class AtelierOptions(Asked):
    """What OpenAI's API has no field for. The official client sends it with `extra_body`."""

    asset: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=50)] | None = None
    negative_prompt: Annotated[str, Field(max_length=4000)] | None = None
    max_latency_ms: Annotated[float, Field(gt=0, le=3_600_000)] | None = None
    deterministic: bool | None = None
    labels: dict[str, str] = Field(default_factory=dict, max_length=16)
    lora: str | None = None
    strength: Annotated[float, Field(gt=0, le=1)] | None = None
    priority: Literal["interactive", "batch"] = "interactive"
    layout: dict[str, Any] | None = None
    metadata: Metadata | None = None


class ImageGenerationRequest(Asked):
    """POST /v1/images/generations, as the official client's types define it."""

    prompt: str
    model: str | None = None
    n: int | None = None
    size: str | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    output_format: Literal["png", "webp", "jpeg", "svg"] | None = None
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    background: Literal["transparent", "opaque", "auto"] | None = None
    moderation: Literal["low", "auto"] | None = None
    style: Literal["vivid", "natural"] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None
    atelier: AtelierOptions = AtelierOptions()


class ImageEditRequest(ImageGenerationRequest):
    """POST /v1/images/edits, without its files. `input_fidelity` is accepted and changes nothing: how much of
    the picture stays is `atelier.strength`."""

    input_fidelity: Literal["high", "low"] | None = None


class ImageVariationRequest(ImageGenerationRequest):
    """POST /v1/images/variations, without its file. There is nothing to say of the picture, but one may."""

    prompt: str = ""


class FeedbackRequest(Asked):
    """POST /v1/feedback. `receipt_id` is the receipt's `request_id`; `minutes` is what the fix took."""

    receipt_id: Annotated[str, Field(min_length=1, max_length=128)]
    verdict: Literal["accepted", "fixed"]
    minutes: Annotated[float, Field(ge=0, le=10_000)] = 0.0


class RollbackRequest(Asked):
    """POST /v1/policy/rollback. `version` is one of those that /v1/policy lists."""

    version: Annotated[str, Field(min_length=1, max_length=64)]


class Substitution(Wire):
    """A candidate that did not answer, why, and what that cost."""

    models: list[str]
    outcome: str
    reason: str
    spent_ms: float
    cost_usd: float


class StageEntry(Wire):
    """One model's work on one image. Times in milliseconds."""

    model: str
    revision: str
    width: int
    height: int
    seed: int | None
    steps: int | None
    queue_ms: float
    run_ms: float
    gpu_s: float
    cost_usd: float
    pixels_sha256: str | None
    details: dict[str, Any]


class ImageEntry(Wire):
    """How one image came to be. `generated` is false for a baked raster asset. `cache`: it was kept from
    before (`hit`), made for an equal request at the same time (`shared`), made and kept (`miss`), or is of a
    kind that is not reused (`off`)."""

    seed: int
    model: str
    generated: bool
    outcome: str
    rung: int
    substituted: bool
    substitutions: list[Substitution]
    cache: Literal["hit", "shared", "miss", "off"]
    stages: list[StageEntry]
    pixels_sha256: str | None


class Receipt(Wire):
    """What happened to a request: what was routed where and why, and what it took."""

    request_id: str
    trace_id: str | None
    policy_version: str
    route: str
    reason: str
    model: str
    outcome: str
    substituted: bool
    budget_ms: float | None
    predicted_ms: float
    queue_ms: float
    run_ms: float
    total_ms: float
    gpu_s: float
    cost_usd: float
    images: list[ImageEntry]


class ImageData(Wire):
    b64_json: str | None = None
    url: str | None = None


class ImagesResponse(Wire):
    created: int
    data: list[ImageData]
    background: Literal["transparent", "opaque"]
    output_format: Literal["png", "webp", "jpeg", "svg"]
    size: str
    atelier: Receipt


class ModelEntry(Wire):
    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "atelier"


class ModelList(Wire):
    object: Literal["list"] = "list"
    data: list[ModelEntry]


class ErrorDetail(Wire):
    message: str
    type: str
    code: str
    param: str | None = None


class ErrorBody(Wire):
    """OpenAI's error body. `atelier` is set when a policy decision stood behind the refusal."""

    error: ErrorDetail

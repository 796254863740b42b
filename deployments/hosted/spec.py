"""Config of hosted models. Imports no client library: routers read specs to know what a model can do."""

from abc import abstractmethod
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue, model_validator

from deployments.hosted import ideogram_api, openai_models
from deployments.hosted.keys import KeySource
from deployments.hosted.sizes import AnySize, ListedSizes, SizeRule
from deployments.spec import BaseSpec

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a URL, as in https://api.example.com/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a base URL has neither user, password, query nor fragment: keys belong to api_key")
    return url.rstrip("/")


def _checked_secure_url(url: str) -> str:
    parts = urlsplit(_checked_url(url))
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ValueError("the API key would cross the network unencrypted: use https")
    return url.rstrip("/")


Url = Annotated[str, AfterValidator(_checked_url)]
SecureUrl = Annotated[str, AfterValidator(_checked_secure_url)]
Host = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]


class HostedSpec(BaseSpec):
    """Fields of every hosted model. No GPU; a call is mostly waiting, so a replica holds many.

    `max_ongoing_requests` is how many calls a replica has open at once and `requests_per_minute` how many it
    starts: what the provider allows an account, divided by the replicas that use it. `expected_ms` is what a
    call is taken to last until some were seen. `retries` are of calls that the provider did not take. Results
    come from `result_hosts` (and their subdomains) or from where `base_url` is. The default size is of images
    that nobody asks a size for.
    """

    num_cpus: Annotated[float, Field(ge=0)] = 0.1
    max_ongoing_requests: Annotated[int, Field(ge=1)] = 16
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    expected_ms: Annotated[float, Field(gt=0)] = 15_000.0
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    max_result_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    result_hosts: tuple[Host, ...] = ()
    default_width: Annotated[int, Field(ge=16)] = 1024
    default_height: Annotated[int, Field(ge=16)] = 1024

    @model_validator(mode="after")
    def _no_gpu(self) -> Self:
        if self.num_gpus:
            raise ValueError("a hosted model runs elsewhere: num_gpus must be 0")
        return self

    @property
    @abstractmethod
    def sizes(self) -> SizeRule: ...

    @property
    @abstractmethod
    def edits(self) -> bool:
        """Whether it takes an image and changes it."""
        ...

    @property
    def is_deterministic(self) -> bool:
        """Whether the same seed is promised to give the same pixels."""
        return False

    def checked_default_size(self) -> Self:
        problem = self.size_problem(self.default_width, self.default_height)
        if problem is not None:
            raise ValueError(f"the default size cannot be made: the model {problem}")
        return self

    def size_problem(self, width: int, height: int) -> str | None:
        """Why this model cannot make such an image, as the end of a sentence; None when it can."""
        if self.sizes.sent(width, height) is not None:
            return None
        return f"makes {self.sizes.described}, not {width}x{height}"


class OpenAIImagesSpec(HostedSpec):
    """OpenAI's Images API. `quality`, `style` and `moderation` are sent with every call; what the model does
    not know is refused when the config is read."""

    kind: Literal["openai_images"]
    model: str
    api_key: KeySource = KeySource(env="OPENAI_API_KEY")
    base_url: SecureUrl = "https://api.openai.com/v1"
    organization: str | None = None
    project: str | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = None
    style: Literal["vivid", "natural"] | None = None
    moderation: Literal["auto", "low"] | None = None

    @model_validator(mode="after")
    def _known_to_the_model(self) -> Self:
        family = openai_models.family(self.model)
        if family is None:
            raise ValueError(
                f"{self.model!r} is no image model known here ({', '.join(openai_models.KNOWN)}); "
                "for another server use kind openai_compatible"
            )
        if self.quality is not None and self.quality not in family.qualities:
            raise ValueError(
                f"{self.model} has the qualities {', '.join(family.qualities)}, not {self.quality}"
            )
        if self.style is not None and not family.has_style:
            raise ValueError(f"{self.model} has no style: describe it in the prompt")
        if self.moderation is not None and not family.has_moderation:
            raise ValueError(f"{self.model} has no moderation setting")
        return self.checked_default_size()

    @property
    def family(self) -> openai_models.Family:
        found = openai_models.family(self.model)
        assert found is not None  # the validator has seen to it
        return found

    @property
    def sizes(self) -> SizeRule:
        return self.family.sizes

    @property
    def edits(self) -> bool:
        return self.family.edits


class OpenAICompatibleSpec(HostedSpec):
    """Any server that speaks OpenAI's Images API. `dialect` says which further fields it understands: seeds,
    steps, guidance and negative prompts have no place in OpenAI's own. `parameters` are sent with every call.
    """

    kind: Literal["openai_compatible"]
    base_url: Url
    model: str
    api_key: KeySource | None = None
    dialect: Literal["openai", "vllm_omni", "sglang", "atelier"] = "openai"
    makes: tuple[Annotated[str, Field(pattern=r"^[1-9]\d{0,4}x[1-9]\d{0,4}$")], ...] = ()
    can_edit: bool = False
    max_pixels: Annotated[int, Field(ge=1)] | None = None
    deterministic: bool = False
    parameters: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.deterministic and self.dialect == "openai":
            raise ValueError("without seeds there are no same pixels: name the dialect of the server")
        if self.makes and self.max_pixels is not None:
            raise ValueError("give makes or max_pixels, not both")
        return self.checked_default_size()

    @property
    def sizes(self) -> SizeRule:
        if not self.makes:
            return AnySize(self.max_pixels)
        pairs = [size.split("x") for size in self.makes]
        return ListedSizes(tuple((int(width), int(height)) for width, height in pairs))

    @property
    def edits(self) -> bool:
        return self.can_edit

    @property
    def is_deterministic(self) -> bool:
        return self.deterministic


class IdeogramSpec(HostedSpec):
    """Ideogram's API: `V_1` and `V_1_TURBO` by the legacy endpoint, `V_3` by its own.

    `magic_prompt` lets the provider rewrite prompts. `rendering_speed`, `style_type` and `style_preset` are
    of V_3 only.
    """

    kind: Literal["ideogram"]
    model: Literal["V_1", "V_1_TURBO", "V_3"]
    api_key: KeySource = KeySource(env="IDEOGRAM_API_KEY")
    base_url: SecureUrl = "https://api.ideogram.ai"
    magic_prompt: Literal["OFF", "ON", "AUTO"] = "OFF"
    rendering_speed: Literal["FLASH", "TURBO", "BALANCED", "DEFAULT", "QUALITY"] | None = None
    style_type: ideogram_api.StyleType | None = None
    style_preset: ideogram_api.StylePreset | None = None
    result_hosts: tuple[Host, ...] = ("ideogram.ai",)

    @model_validator(mode="after")
    def _known_to_the_model(self) -> Self:
        for name in ("rendering_speed", "style_type", "style_preset"):
            if self.model != "V_3" and getattr(self, name) is not None:
                raise ValueError(f"{self.model} has no {name}: it belongs to V_3")
        return self.checked_default_size()

    @property
    def sizes(self) -> SizeRule:
        return ideogram_api.V3_RESOLUTIONS if self.model == "V_3" else ideogram_api.V1_SHAPES

    @property
    def edits(self) -> bool:
        return self.model == "V_3"

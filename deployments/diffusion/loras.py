"""Adapters (LoRA): loaded once beside the base weights, switched per request.

The denoiser and the text encoders are switched apart, because different threads run them. Switching
flips flags in the layers; no weights move.
"""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers.loaders.lora_base import (
    disable_lora_for_text_encoder,
    enable_lora_for_text_encoder,
    set_adapters_for_text_encoder,
)

from deployments.diffusion.spec import LoraSpec, is_local


class Loras:
    """`specs` by the name that requests use."""

    def __init__(self, pipeline: Any, denoiser: Any, specs: Mapping[str, LoraSpec]) -> None:
        self._specs = specs
        self._denoiser = denoiser
        self._text_encoders = [
            encoder
            for name in ("text_encoder", "text_encoder_2")
            if (encoder := getattr(pipeline, name, None)) is not None
        ]
        self._in_denoiser: str | None = None
        self._in_text: str | None = None
        self._denoiser_lock, self._text_lock = threading.Lock(), threading.Lock()
        for name, spec in specs.items():
            _load(pipeline, name, spec)
        if specs:
            self._switch_denoiser(None)
            self._switch_text(None)

    def use_in_denoiser(self, name: str | None) -> None:
        """Only where no denoiser call is running."""
        with self._denoiser_lock:
            if self._specs and name != self._in_denoiser:
                self._switch_denoiser(name)

    def use_in_text(self, name: str | None) -> None:
        """Only where no text is being encoded."""
        with self._text_lock:
            if self._specs and name != self._in_text:
                self._switch_text(name)

    def _switch_denoiser(self, name: str | None) -> None:
        if name is not None and name in getattr(self._denoiser, "peft_config", {}):
            self._denoiser.enable_adapters()
            self._denoiser.set_adapters([name], [self._specs[name].scale])
        elif getattr(self._denoiser, "peft_config", None):
            self._denoiser.disable_adapters()
        self._in_denoiser = name

    def _switch_text(self, name: str | None) -> None:
        for encoder in self._text_encoders:
            if name is not None and name in getattr(encoder, "peft_config", {}):
                enable_lora_for_text_encoder(encoder)
                set_adapters_for_text_encoder([name], encoder, [self._specs[name].scale])
            elif getattr(encoder, "peft_config", None):
                disable_lora_for_text_encoder(encoder)
        self._in_text = name


def _load(pipeline: Any, name: str, spec: LoraSpec) -> None:
    if not hasattr(pipeline, "load_lora_weights"):
        raise ValueError(f'lora "{name}": {type(pipeline).__name__} takes no adapters')
    local = is_local(spec.weights)
    if local and not Path(spec.weights).expanduser().exists():
        raise ValueError(f'lora "{name}": "{spec.weights}" does not exist')
    pipeline.load_lora_weights(
        str(Path(spec.weights).expanduser()) if local else spec.weights,
        adapter_name=name,
        weight_name=spec.weight_name,
        revision=None if local else spec.revision,
        use_safetensors=True,
        local_files_only=local,
    )

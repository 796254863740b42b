"""Builds a tiny, randomly initialised pipeline in the layout of a real one: no download, under a megabyte.

The classes, file layout and call paths are diffusers' own, so what serves this serves Stable Diffusion;
only the picture means nothing. Used by tests, and by a first start until a trained model is configured.

    python -m deployments.diffusion.tiny --layout sd --out models/tiny-sd
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

Layout = Literal["sd", "sdxl", "sd3", "flux"]

TEXT_WIDTH = 32
T5_WIDTH = 128
START, END = "<|startoftext|>", "<|endoftext|>"


def build_tiny(layout: Layout, folder: Path | str, seed: int = 0) -> Path:
    """Writes the pipeline to `folder` and returns it. The same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = _BUILDERS[layout]()
    pipeline.save_pretrained(folder, safe_serialization=True)
    return Path(folder)


def _sd() -> Any:
    return StableDiffusionPipeline(
        vae=_vae(latent_channels=4),
        text_encoder=CLIPTextModel(_text_config()).eval(),
        tokenizer=_tokenizer(),
        unet=_unet(cross_attention_dim=TEXT_WIDTH),
        scheduler=_euler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl() -> Any:
    return StableDiffusionXLPipeline(
        vae=_vae(latent_channels=4),
        text_encoder=CLIPTextModel(_text_config()).eval(),
        text_encoder_2=CLIPTextModelWithProjection(_text_config()).eval(),
        tokenizer=_tokenizer(),
        tokenizer_2=_tokenizer(),
        unet=_unet(
            cross_attention_dim=2 * TEXT_WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            # Six time ids of eight dimensions each, and the pooled text.
            projection_class_embeddings_input_dim=6 * 8 + TEXT_WIDTH,
        ),
        scheduler=_euler(),
        add_watermarker=False,
    )


def _sd3() -> Any:
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=T5_WIDTH,
        caption_projection_dim=32,
        pooled_projection_dim=2 * TEXT_WIDTH,
        pos_embed_max_size=32,
    )
    return StableDiffusion3Pipeline(
        vae=_vae(latent_channels=16, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06),
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        text_encoder=CLIPTextModelWithProjection(_text_config()).eval(),
        text_encoder_2=CLIPTextModelWithProjection(_text_config()).eval(),
        text_encoder_3=_t5().eval(),
        tokenizer=_tokenizer(),
        tokenizer_2=_tokenizer(),
        tokenizer_3=_t5_tokenizer(),
    )


def _flux() -> Any:
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=TEXT_WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    return FluxPipeline(
        vae=_vae(latent_channels=16, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.12),
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        text_encoder=CLIPTextModel(_text_config()).eval(),
        text_encoder_2=_t5().eval(),
        tokenizer=_tokenizer(),
        tokenizer_2=_t5_tokenizer(),
    )


_BUILDERS: dict[Layout, Callable[[], Any]] = {
    "sd": _sd,
    "sdxl": _sdxl,
    "sd3": _sd3,
    "flux": _flux,
}


def _vae(latent_channels: int, **options: Any) -> Any:
    """Four levels, as real ones have: one latent stands for 8 by 8 pixels."""
    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=64,
        **options,
    ).eval()


def _unet(cross_attention_dim: int, **options: Any) -> Any:
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
        cross_attention_dim=cross_attention_dim,
        norm_num_groups=8,
        **options,
    ).eval()


def _euler() -> Any:
    """As the published Stable Diffusion configures it."""
    return EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1
    )


def _text_config() -> CLIPTextConfig:
    tokens = len(_vocabulary())
    return CLIPTextConfig(
        vocab_size=tokens,
        hidden_size=TEXT_WIDTH,
        intermediate_size=64,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=tokens - 2,
        eos_token_id=tokens - 1,
        pad_token_id=tokens - 1,
    )


def _tokenizer() -> CLIPTokenizer:
    """A byte-level CLIP tokenizer without merges: a token a byte."""
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        vocabulary.write_text(json.dumps(_vocabulary()), encoding="utf-8")
        merges.write_text("#version: 0.2\n", encoding="utf-8")
        return CLIPTokenizer(str(vocabulary), str(merges), model_max_length=77)


def _t5() -> Any:
    return T5EncoderModel(
        T5Config(
            vocab_size=len(_t5_vocabulary()),
            d_model=T5_WIDTH,
            d_kv=8,
            d_ff=64,
            num_layers=1,
            num_heads=4,
            dropout_rate=0.0,
        )
    )


def _t5_tokenizer() -> T5Tokenizer:
    return T5Tokenizer(vocab=_t5_vocabulary(), extra_ids=0, model_max_length=256)


def _t5_vocabulary() -> list[tuple[str, float]]:
    """A token a printable ASCII character, after T5's special ones; anything else is unknown."""
    characters = [(chr(code), -1.0) for code in range(ord("!"), ord("~") + 1)]
    return [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *characters]


def _vocabulary() -> dict[str, int]:
    symbols = sorted(_byte_symbols())
    tokens = [*symbols, *(symbol + "</w>" for symbol in symbols), START, END]
    return {token: index for index, token in enumerate(tokens)}


def _byte_symbols() -> list[str]:
    """The printable character that byte-level BPE writes for each byte (the table of GPT-2 and CLIP)."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def main() -> None:
    parser = argparse.ArgumentParser(description="build a tiny pipeline with random weights")
    parser.add_argument("--layout", choices=get_args(Layout), default="sd")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, created if missing")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = build_tiny(arguments.layout, arguments.out, arguments.seed)
    size_kb = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1000
    print(f"wrote a {arguments.layout} pipeline with random weights to {folder} ({size_kb:.0f} kB)")


if __name__ == "__main__":
    main()

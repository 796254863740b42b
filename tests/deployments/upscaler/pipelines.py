"""Diffusers' own upscale pipelines, tiny and with random weights: real call paths, meaningless pictures."""

from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionLatentUpscalePipeline,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel

from deployments.diffusion.tiny import TEXT_WIDTH, _text_config, _tokenizer


def build(kind: Literal["latent", "fourfold"], folder: Path) -> str:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = _latent() if kind == "latent" else _fourfold()
    pipeline.save_pretrained(folder, safe_serialization=True)
    return str(folder)


def _latent() -> Any:
    """As sd-x2-latent-upscaler: a UNet of K blocks, conditioned on the pooled text and 128 noise features."""
    unet = UNet2DConditionModel(
        act_fn="gelu",
        attention_head_dim=8,
        norm_num_groups=None,
        block_out_channels=(32, 32, 64, 64),
        time_cond_proj_dim=128 + TEXT_WIDTH,
        conv_in_kernel=1,
        conv_out_kernel=1,
        cross_attention_dim=TEXT_WIDTH,
        down_block_types=("KDownBlock2D", *("KCrossAttnDownBlock2D",) * 3),
        up_block_types=(*("KCrossAttnUpBlock2D",) * 3, "KUpBlock2D"),
        in_channels=8,
        mid_block_type=None,
        out_channels=5,
        resnet_time_scale_shift="scale_shift",
        time_embedding_type="fourier",
        timestep_post_act="gelu",
    )
    return StableDiffusionLatentUpscalePipeline(
        vae=_vae(levels=4),
        text_encoder=CLIPTextModel(_text_config()).eval(),
        tokenizer=_tokenizer(),
        unet=unet.eval(),
        scheduler=EulerDiscreteScheduler(prediction_type="sample"),
    )


def _fourfold() -> Any:
    """As stable-diffusion-x4-upscaler: latents beside the low-resolution picture, noise levels as classes."""
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        in_channels=7,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
        num_class_embeds=100,
    )
    return StableDiffusionUpscalePipeline(
        vae=_vae(levels=3, scaling_factor=0.08333),
        text_encoder=CLIPTextModel(_text_config()).eval(),
        tokenizer=_tokenizer(),
        unet=unet.eval(),
        low_res_scheduler=DDPMScheduler(),
        scheduler=DDIMScheduler(prediction_type="v_prediction"),
        max_noise_level=90,
    )


def _vae(levels: int, **options: Any) -> Any:
    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16)[-levels:],
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        **options,
    ).eval()

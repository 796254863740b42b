import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

from models.upscaler_training.bicubic_start import start_as_bicubic


def untrained(**changes: object) -> Swin2SRForImageSuperResolution:
    settings = {"embed_dim": 32, "depths": [2], "num_heads": [2], "upsampler": "pixelshuffledirect"} | changes
    return Swin2SRForImageSuperResolution(Swin2SRConfig(**settings)).eval()


def test_untrained_network_computes_pillows_bicubic() -> None:
    network = untrained()
    start_as_bicubic(network)
    noise = np.random.default_rng(0).integers(40, 220, (32, 40, 3)).astype(np.uint8)
    small = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(0.7))
    with torch.inference_mode():
        pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None] / 255
        enlarged = network(pixel_values=pixels).reconstruction[0].permute(1, 2, 0).numpy() * 255
    bicubic = np.asarray(small.resize((80, 64), Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(enlarged - bicubic)[8:-8, 8:-8].max() <= 1.5, "Pillow rounds twice"


def test_what_cannot_hold_the_kernel_is_refused() -> None:
    for changes in ({"upscale": 4}, {"embed_dim": 16}, {"upsampler": "pixelshuffle"}):
        with pytest.raises(ValueError, match="27 channels"):
            start_as_bicubic(untrained(**changes))

"""Sets a Swin2SR so that, before any training, it computes bicubic interpolation.

A Swin2SR with the `pixelshuffledirect` head is `upsample(body(first(x)) + first(x))`, with 3x3 convolutions
`first` and `upsample`. Their product is a 5x5 filter, which holds the 4-tap kernel of 2x bicubic
interpolation at both phases; with the body's last convolution at zero nothing else remains. Training then
learns what bicubic lacks, and the layout stays the standard one.
"""

import torch
from transformers import Swin2SRForImageSuperResolution

_SHIFTS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def start_as_bicubic(model: Swin2SRForImageSuperResolution) -> None:
    """In place. Raises ValueError for another head, factor, or fewer than 27 channels.

    Equal to Pillow's bicubic 2x away from the border: near it the network pads with its mean colour.
    """
    config = model.config
    if (config.upsampler, config.upscale) != ("pixelshuffledirect", 2) or config.embed_dim < 27:
        raise ValueError("only a 2x pixelshuffledirect Swin2SR of 27 channels or more can start as bicubic")
    first, last, up = model.swin2sr.first_convolution, model.swin2sr.conv_after_body, model.upsample.conv
    with torch.no_grad():
        for weights in (last, up):
            weights.weight.zero_()
            weights.bias.zero_()
        first.bias.zero_()
        first.weight[:27].zero_()
        for colour in range(3):
            for shift, (dy, dx) in enumerate(_SHIFTS):
                first.weight[colour * 9 + shift, colour, dy + 1, dx + 1] = 1.0
            for phase_y in (0, 1):
                for phase_x in (0, 1):
                    _set_phase(up.weight[colour * 4 + phase_y * 2 + phase_x], colour, phase_y, phase_x)


def _set_phase(kernel: torch.Tensor, colour: int, phase_y: int, phase_x: int) -> None:
    """Writes one output phase into `kernel` (channels, 3, 3) over the 9 shifted copies of `colour`.

    A tap two pixels away is one pixel of convolution over the copy shifted by one.
    """
    for tap_y, weight_y in _taps(phase_y):
        for tap_x, weight_x in _taps(phase_x):
            dy, dx = (int(tap / 2) for tap in (tap_y, tap_x))
            channel = colour * 9 + _SHIFTS.index((dy, dx))
            kernel[channel, tap_y - dy + 1, tap_x - dx + 1] = weight_y * weight_x


def _taps(phase: int) -> list[tuple[int, float]]:
    """(offset in source pixels, weight) of the four taps of one of the two output phases."""
    centre = 0.25 if phase else -0.25
    return [(offset, _keys(abs(offset - centre))) for offset in range(-2, 3) if abs(offset - centre) < 2]


def _keys(distance: float, a: float = -0.5) -> float:
    """Keys' cubic convolution kernel (1981), with Pillow's a = -0.5."""
    if distance < 1:
        return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    return a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a

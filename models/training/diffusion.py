"""Trains the diffusion network and its text encoder on cached latents, by v-prediction.

`python -m models.training.diffusion --minutes 60` resumes from its checkpoint, so that training can be
lengthened at will: the learning rate is level for a fifth of the minutes and falls to zero at their end.
Knows nothing of pixels or words.
"""

import argparse
import signal
import time
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTokenizer

from models.training import checkpoints, pictures, text
from models.training.autoencoder import LATENT_CHANNELS
from models.training.devices import SplitGradients, autocast, prepare
from models.training.examples import ExampleStream
from models.training.muon import MuonWithAdam

NAME = "diffusion"
LEARNING_RATE = 2e-3
WARM_UP_STEPS = 100
DECAY_RATIO = 0.8
AVERAGE_DECAY = 0.99
SECONDS_BETWEEN_CHECKPOINTS = 120
SECONDS_BETWEEN_NOTES = 30


def new_unet() -> UNet2DConditionModel:
    unet = UNet2DConditionModel(
        sample_size=pictures.SIZE_PX // 8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        layers_per_block=1,
        block_out_channels=(128, 192),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=text.WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    for module in unet.modules():
        if isinstance(
            module, ResnetBlock2D
        ):  # every residual block starts as the identity: learns far sooner
            nn.init.zeros_(module.conv2.weight)
    nn.init.zeros_(unet.conv_out.weight)
    return unet


class Generator(nn.Module):  # type: ignore[misc]
    """The two trained networks as one module. `forward` gives the predicted v."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.text_encoder = text.new_text_encoder(tokenizer)
        self.unet = new_unet()

    def forward(self, noisy: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        words = self.text_encoder(tokens).last_hidden_state
        predicted: Tensor = self.unet(noisy, timesteps, words).sample
        return predicted


class Training:
    """The networks, their running average and their optimizer, from the last checkpoint on."""

    def __init__(self) -> None:
        self._device = prepare()
        torch.manual_seed(2)
        tokenizer = text.new_tokenizer()
        self._model = Generator(tokenizer).to(self._device, memory_format=torch.channels_last)
        # At 64 tokens, plain products beat the fused kernel on a CPU.
        self._model.unet.set_attn_processor(AttnProcessor())
        self._gradients = SplitGradients(self._model, self._device)
        self._optimizer = MuonWithAdam(self._model, LEARNING_RATE, self._gradients.pool)
        self._average = {key: value.detach().clone() for key, value in self._model.state_dict().items()}
        self.steps = self.samples = 0
        self._trained_s = 0.0
        kept = checkpoints.load(NAME)
        if kept is not None:
            self._restore(kept)
        self.stream = ExampleStream(tokenizer, seed=self.steps)

    def step(self, batch: int, rate: float) -> float:
        """Learns from one batch at the learning rate `rate`; returns its loss."""
        examples = self.stream.batch(batch).to(self._device)

        def loss_of(part: slice) -> Tensor:
            mine = examples[part]
            with autocast(self._device):
                predicted = self._model(mine.noisy, mine.timesteps, mine.tokens)
            return functional.mse_loss(predicted.float(), mine.velocity)

        begun = time.monotonic()
        loss = self._gradients(batch, loss_of)
        self._optimizer.set_rate(rate * min(1.0, (self.steps + 1) / WARM_UP_STEPS))
        self._optimizer.step()
        self.steps += 1
        self.samples += batch
        self._move_average()
        self._trained_s += time.monotonic() - begun
        return loss

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _move_average(self) -> None:
        fresh = self._model.state_dict()
        floats = [key for key, value in fresh.items() if value.is_floating_point()]
        keep = min(AVERAGE_DECAY, self.steps / (self.steps + 10))
        torch._foreach_lerp_([self._average[key] for key in floats], [fresh[key] for key in floats], 1 - keep)

    def save(self) -> None:
        state = {
            "model": self._model.state_dict(),
            "average": self._average,
            "optimizer": self._optimizer.state_dict(),
            "step": self.steps,
            "samples": self.samples,
            "trained_s": self._trained_s,
        }
        checkpoints.save(NAME, state)

    def _restore(self, kept: dict[str, Any]) -> None:
        self._model.load_state_dict(kept["model"])
        self._optimizer.load_state_dict(kept["optimizer"])
        self._average = {key: value.to(self._device) for key, value in kept["average"].items()}
        self.steps, self.samples, self._trained_s = kept["step"], kept["samples"], kept["trained_s"]


def train(minutes: float, batch: int) -> None:
    """Trains for `minutes` of wall-clock time; SIGTERM ends it early, after a checkpoint."""
    training = Training()
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    started = noted = saved = time.monotonic()
    noted_samples = training.samples
    smooth_loss: float | None = None
    while not stopping and (left := 1 - (time.monotonic() - started) / (60 * minutes)) > 0:
        loss = training.step(batch, LEARNING_RATE * min(1.0, left / DECAY_RATIO))
        smooth_loss = loss if smooth_loss is None else 0.98 * smooth_loss + 0.02 * loss
        now = time.monotonic()
        if now - noted > SECONDS_BETWEEN_NOTES:
            pace = (training.samples - noted_samples) / (now - noted)
            print(
                f"step {training.steps} samples {training.samples} loss {smooth_loss:.4f} "
                f"{pace:.0f} samples/s, {left * minutes:.0f} min left",
                flush=True,
            )
            noted, noted_samples = now, training.samples
        if now - saved > SECONDS_BETWEEN_CHECKPOINTS:
            training.save()
            training.stream.pictures.refresh()
            saved = now
    training.save()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=60, help="the rate falls after a fifth")
    arguments.add_argument("--batch", type=int, default=64)
    chosen = arguments.parse_args()
    train(chosen.minutes, chosen.batch)

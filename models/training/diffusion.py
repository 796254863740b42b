"""Trains the diffusion network and its text encoder on cached latents: v-prediction on a cosine schedule.

`python -m models.training.diffusion --steps 12000 --decay-from 9000` resumes from its checkpoint. The
learning rate stays level until `--decay-from` and falls to zero at `--steps`, so that training can be
lengthened at will. Knows latents and captions; nothing of pixels.
"""

import argparse
import random
import signal
import time
from typing import Any

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn import functional

from models.training import checkpoints, latents, pictures, text
from models.training.autoencoder import LATENT_CHANNELS
from models.training.captions import Subject, caption
from models.training.devices import ThreadChoice, autocast, prepare
from models.training.muon import MuonWithAdam

NAME = "diffusion"
LEARNING_RATE = 8e-4
WARM_UP_STEPS = 300
CAPTION_DROPOUT = 0.1
AVERAGE_DECAY = 0.999
SECONDS_BETWEEN_CHECKPOINTS = 180
TRAIN_TIMESTEPS = 1000


def new_unet() -> UNet2DConditionModel:
    unet = UNet2DConditionModel(
        sample_size=pictures.SIZE_PX // 8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        layers_per_block=1,
        block_out_channels=(160, 256),
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


def training_schedule() -> DDPMScheduler:
    """Cosine: its last step is all noise (SNR 2e-9), so the background's colour comes from the caption."""
    return DDPMScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction"
    )


class Generator(nn.Module):
    """The two trained networks as one module. `forward` gives the predicted v."""

    def __init__(self, vocabulary_size_source: Any) -> None:
        super().__init__()
        self.text_encoder = text.new_text_encoder(vocabulary_size_source)
        self.unet = new_unet()

    def forward(self, noisy: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        words = self.text_encoder(tokens).last_hidden_state
        predicted: Tensor = self.unet(noisy, timesteps, words).sample
        return predicted


class LatentStream:
    """Endless batches of scaled latents and captions, in a new order every pass; picks up new chunks."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._scale = latents.scaling_factor()
        self._known: list[str] = []
        self._latents = torch.empty(0)
        self._subjects: list[Subject] = []
        self._order: list[int] = []
        self.refresh()

    def refresh(self) -> None:
        fresh = [path for path in latents.chunk_paths() if path not in self._known]
        for path in fresh:
            chunk = latents.read_chunk(path)
            self._latents = torch.cat([self._latents.half(), torch.from_numpy(chunk.latents)])
            self._subjects += chunk.subjects()
        if fresh:
            self._known += fresh
            self._order = []

    def __len__(self) -> int:
        return len(self._subjects)

    def batch(self, size: int) -> tuple[Tensor, list[str]]:
        if len(self._order) < size:
            self._order = list(range(len(self)))
            self._chance.shuffle(self._order)
        picked = [self._order.pop() for _ in range(size)]
        captions = [
            "" if self._chance.random() < CAPTION_DROPOUT else caption(self._subjects[i], self._chance)
            for i in picked
        ]
        return self._latents[picked].float() * self._scale, captions


def train(steps: int, decay_from: int, batch: int, minutes: float) -> None:
    device = prepare()
    torch.manual_seed(2)
    tokenizer = text.new_tokenizer()
    model = Generator(tokenizer).to(device, memory_format=torch.channels_last)
    model.unet.set_attn_processor(
        AttnProcessor()
    )  # at 64 tokens, plain products beat the fused kernel on a CPU
    optimizer = MuonWithAdam(model, LEARNING_RATE)
    average = {key: value.detach().clone() for key, value in model.state_dict().items()}
    step = samples = 0
    trained_s = 0.0
    kept = checkpoints.load(NAME)
    if kept is not None:
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        average, step, samples, trained_s = kept["average"], kept["step"], kept["samples"], kept["trained_s"]
    schedule = training_schedule()
    stream = LatentStream(seed=step)
    random_state = torch.Generator().manual_seed(7919 * (step + 1))
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    threads = ThreadChoice()
    started = noted = saved = time.monotonic()
    smooth_loss = None
    noted_samples = samples
    while step < steps and not stopping and time.monotonic() - started < 60 * minutes:
        rate = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS)
        if step >= decay_from:
            rate *= (steps - step) / (steps - decay_from)
        optimizer.set_rate(rate)
        clean, captions = stream.batch(batch)
        even = (torch.arange(batch) + torch.rand(1, generator=random_state)) / batch
        timesteps = (even * TRAIN_TIMESTEPS).long()
        noise = torch.randn(clean.shape, generator=random_state)
        tokens = tokenizer(
            captions, padding="max_length", truncation=True, max_length=text.MAX_TOKENS, return_tensors="pt"
        ).input_ids
        noisy = schedule.add_noise(clean, noise, timesteps).to(device, memory_format=torch.channels_last)
        wanted = schedule.get_velocity(clean, noise, timesteps).to(device)
        with autocast(device):
            predicted = model(noisy, timesteps.to(device), tokens.to(device))
        loss = functional.mse_loss(predicted.float(), wanted)
        loss.backward()
        optimizer.step()
        threads.step_done()
        step += 1
        samples += batch
        keep = min(AVERAGE_DECAY, step / (step + 10))
        with torch.no_grad():
            fresh = model.state_dict()
            floats = [key for key, value in fresh.items() if value.is_floating_point()]
            torch._foreach_lerp_([average[key] for key in floats], [fresh[key] for key in floats], 1 - keep)
        smooth_loss = loss.item() if smooth_loss is None else 0.98 * smooth_loss + 0.02 * loss.item()
        now = time.monotonic()
        if now - noted > 30:
            speed = (samples - noted_samples) / (now - noted)
            print(
                f"step {step} samples {samples} of {len(stream)} pictures, loss {smooth_loss:.4f} "
                f"rate {rate:.1e} {speed:.0f} img/s with {torch.get_num_threads()} threads",
                flush=True,
            )
            noted, noted_samples = now, samples
        if now - saved > SECONDS_BETWEEN_CHECKPOINTS or step == steps:
            _save(model, average, optimizer, step, samples, trained_s + now - started)
            stream.refresh()
            saved = now
    _save(model, average, optimizer, step, samples, trained_s + time.monotonic() - started)


def _save(
    model: Generator,
    average: dict[str, Tensor],
    optimizer: MuonWithAdam,
    step: int,
    samples: int,
    trained_s: float,
) -> None:
    checkpoints.save(
        NAME,
        {
            "model": model.state_dict(),
            "average": average,
            "optimizer": optimizer.state_dict(),
            "step": step,
            "samples": samples,
            "trained_s": trained_s,
        },
    )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=12_000)
    arguments.add_argument("--decay-from", type=int, default=9_000)
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--minutes", type=float, default=600)
    chosen = arguments.parse_args()
    train(chosen.steps, chosen.decay_from, chosen.batch, chosen.minutes)

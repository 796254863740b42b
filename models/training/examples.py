"""Training examples for the diffusion network: noised latents, tokens, and the velocity to predict.

Knows cached latents, captions and the noise schedule; nothing of the network.
"""

import random
from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler
from torch import Tensor
from transformers import CLIPTokenizer

from models.training import latents, text
from models.training.captions import Subject, caption

CAPTION_DROPOUT = 0.1
TRAIN_TIMESTEPS = 1000
NOISE_BIAS = 0.45


def training_schedule() -> DDPMScheduler:
    """Cosine: its last step is all noise (SNR 2e-9), so the background's colour comes from the caption."""
    return DDPMScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction"
    )


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


def noise_levels(count: int, random_state: torch.Generator) -> Tensor:
    """Timesteps int64 [count], one from each of `count` equal shares of a law that favours much noise.

    What is drawn and where is decided at high noise; the density grows with timestep ** (1 / NOISE_BIAS - 1).
    """
    even = (torch.arange(count) + torch.rand(1, generator=random_state)) / count
    mixed = even[torch.randperm(count, generator=random_state)]
    return (mixed**NOISE_BIAS * TRAIN_TIMESTEPS).long()


@dataclass(frozen=True, slots=True)
class Examples:
    """`noisy` and `velocity` [n, 24, 8, 8], `timesteps` int64 [n], `tokens` int64 [n, MAX_TOKENS]."""

    noisy: Tensor
    timesteps: Tensor
    tokens: Tensor
    velocity: Tensor

    def __getitem__(self, part: slice) -> "Examples":
        return Examples(self.noisy[part], self.timesteps[part], self.tokens[part], self.velocity[part])

    def to(self, device: torch.device) -> "Examples":
        noisy = self.noisy.to(device, memory_format=torch.channels_last)
        return Examples(noisy, self.timesteps.to(device), self.tokens.to(device), self.velocity.to(device))


class ExampleStream:
    """Endless batches of examples. The same seed gives the same ones while no chunk is added."""

    def __init__(self, tokenizer: CLIPTokenizer, seed: int) -> None:
        self.pictures = LatentStream(seed)
        self._tokenizer = tokenizer
        self._schedule = training_schedule()
        self._random_state = torch.Generator().manual_seed(7919 * (seed + 1))

    def batch(self, size: int) -> Examples:
        clean, captions = self.pictures.batch(size)
        timesteps = noise_levels(size, self._random_state)
        noise = torch.randn(clean.shape, generator=self._random_state)
        tokens = self._tokenizer(
            captions, padding="max_length", truncation=True, max_length=text.MAX_TOKENS, return_tensors="pt"
        ).input_ids
        return Examples(
            noisy=self._schedule.add_noise(clean, noise, timesteps),
            timesteps=timesteps,
            tokens=tokens,
            velocity=self._schedule.get_velocity(clean, noise, timesteps),
        )

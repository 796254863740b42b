from collections.abc import Callable

import numpy as np
import pytest

from models.upscaler_training import degradations, evaluate
from models.upscaler_training.artwork import Picture

PICTURE = np.kron(np.random.default_rng(0).integers(0, 256, (6, 5, 3)), np.ones((8, 8, 1))).astype(np.uint8)


@pytest.mark.parametrize("wear", [degradations.for_upscaling, degradations.for_denoising, degradations.worn])
def test_the_same_chance_gives_the_same_marks(wear: Callable[..., Picture]) -> None:
    for seed in range(40):
        first, second = (wear(PICTURE, np.random.default_rng(seed)) for _ in range(2))
        assert first.shape == PICTURE.shape
        assert first.dtype == np.uint8
        assert np.array_equal(first, second)


def test_upscaling_keeps_half_clean_and_denoising_few() -> None:
    def clean(wear: Callable[..., Picture]) -> int:
        return sum(np.array_equal(wear(PICTURE, np.random.default_rng(seed)), PICTURE) for seed in range(200))

    assert 75 <= clean(degradations.for_upscaling) <= 125
    assert 5 <= clean(degradations.for_denoising) <= 35
    assert clean(degradations.worn) == 0


def test_psnr_is_the_formula() -> None:
    black, grey = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 51, np.uint8)
    assert evaluate.psnr(black, grey) == pytest.approx(20 * np.log10(5))
    assert evaluate.psnr(grey, grey) == 60.0


def test_the_table_has_the_gain_of_the_last_over_the_first() -> None:
    black, grey = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 51, np.uint8)
    table = evaluate.table(
        {"before": lambda given: given, "after": lambda given: given // 2}, {"set": [(grey, black)]}
    )
    assert table.splitlines()[-1] == "| set | 1 | 13.98 | 20.17 | +6.19 dB |"

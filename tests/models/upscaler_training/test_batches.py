import numpy as np

from models.upscaler_training import train_denoiser
from models.upscaler_training.batches import Crops
from models.upscaler_training.pictures import TrainingPictures

SIZE = 80


def panels(number: int) -> list[np.ndarray]:
    chance = np.random.default_rng(number)
    return [chance.integers(0, 256, (100, 100, 3)).astype(np.uint8)]


def test_icons_smaller_than_a_crop_are_shown_whole() -> None:
    icon = np.zeros((64, 64, 4), np.uint8)
    icon[..., 3] = 255
    crops = Crops(TrainingPictures([icon], panels(1), panels(2)), SIZE, (1, 0, 0))
    seen = {crops.draw(np.random.default_rng(seed)).shape for seed in range(20)}
    assert seen == {(SIZE, SIZE, 3)}
    crop = crops.draw(np.random.default_rng(0))
    ink = (crop == crop[SIZE // 2, SIZE // 2]).all(-1)
    assert ink[8:72, 8:72].all()


def test_shares_are_kept() -> None:
    plain = [np.full((100, 100, 3), level, np.uint8) for level in (50, 150)]
    crops = Crops(TrainingPictures(panels(0), [plain[0]], [plain[1]]), SIZE, (0, 0.75, 0.25))
    chance = np.random.default_rng(0)
    levels = [int(crops.draw(chance).max()) for _ in range(400)]
    text = sum(level in (50, 205) for level in levels)
    assert 270 <= text <= 330


def test_a_batch_is_a_function_of_its_step() -> None:
    crops = Crops(TrainingPictures(panels(0), panels(1), panels(2)), SIZE, train_denoiser.SHARES)
    first, again, other = (train_denoiser.batch(crops, step) for step in (3, 3, 4))
    assert all(bool((one == two).all()) for one, two in zip(first, again, strict=True))
    assert not bool((first[1] == other[1]).all())
    assert first[0].shape == (train_denoiser.BATCH, 3, train_denoiser.CROP, train_denoiser.CROP)

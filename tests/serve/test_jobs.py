import pickle
from dataclasses import FrozenInstanceError

import pytest

from deployments.types import ImageFormat
from routing.types import AssetRequest
from serve.jobs import ImageJob


def test_what_a_caller_leaves_out() -> None:
    job = ImageJob("r1", 0.0, AssetRequest("a fox"), seeds=(1, 2))
    assert (job.encoding.format, job.encoding.transparent) == (ImageFormat.PNG, False)
    assert (job.asset.priority, job.partial_images) == ("interactive", 0)
    assert (job.image, job.mask, job.lora, job.guidance_scale) == (None, None, None, None)
    assert job.options is not ImageJob("r2", 0.0, AssetRequest("a fox"), seeds=(1,)).options


def test_a_job_does_not_change_once_it_was_checked() -> None:
    job = ImageJob("r1", 0.0, AssetRequest("a fox"), seeds=(1,))
    with pytest.raises(FrozenInstanceError):
        job.seeds = (2,)  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(job)) == job

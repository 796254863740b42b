from collections.abc import Callable

import pytest
import torch

from deployments.diffusion.device import Share, check_fit, take_share, weights_bytes
from deployments.diffusion.pipelines import PipelineSet
from deployments.diffusion.sidework import SideWork, tensors_in

GIB = 2**30


def test_without_a_gpu_nothing_is_limited() -> None:
    assert take_share(0) == Share("cpu")
    check_fit(500 * GIB, Share("cpu"))


def test_weights_that_leave_room_to_work_fit() -> None:
    check_fit(17 * GIB, Share("cuda", 20 * GIB))


def test_weights_that_leave_none_are_refused_with_the_numbers_and_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"19\.0 GiB.*20\.0 GiB.*raise num_gpus"):
        check_fit(19 * GIB, Share("cuda", 20 * GIB))


def test_on_a_cpu_the_share_is_what_is_reserved_of_the_host() -> None:
    share = take_share(0, memory_bytes=4 * GIB)
    check_fit(3 * GIB, share)
    with pytest.raises(ValueError, match=r"take 3\.9 GiB.*host's memory.*4\.0 GiB.*raise memory_bytes"):
        check_fit(int(3.9 * GIB), share)


def test_weights_are_counted_once(pipelines: Callable[[str], PipelineSet]) -> None:
    base = pipelines("sd").base
    parameters = sum(
        tensor.numel() * 4
        for module in (base.unet, base.vae, base.text_encoder)
        for tensor in (*module.parameters(), *(buffer for buffer in module.buffers()))
    )
    assert weights_bytes(base) == pytest.approx(parameters, rel=0.01)


def test_side_work_keeps_no_graph() -> None:
    weight = torch.ones(2, requires_grad=True)
    assert not SideWork(lambda: weight * 2).run().requires_grad


def test_all_tensors_of_a_result_are_found() -> None:
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    distribution = DiagonalGaussianDistribution(torch.zeros(1, 8, 2, 2))
    found = list(tensors_in((torch.ones(1), [{"a": torch.ones(2)}], None, distribution)))
    assert len(found) >= 4

import pytest
import torch

from deployments.diffusion.collate import Call, Merger, split


def call(rows: int, seed: int, **changes: object) -> Call:
    generator = torch.Generator().manual_seed(seed)
    arguments = {
        "sample": torch.randn(rows, 4, 8, 8, generator=generator),
        "timestep": torch.tensor(float(seed)),
        "encoder_hidden_states": torch.randn(rows, 7, 16, generator=generator),
        "added_cond_kwargs": {
            "text_embeds": torch.randn(rows, 16, generator=generator),
            "image_embeds": None,
        },
        "return_dict": False,
    }
    return Call({**arguments, **changes}, rows)


def test_rows_are_joined_and_a_scalar_timestep_stands_for_each_of_its_rows() -> None:
    one, two = call(2, 1), call(1, 5)
    joined = Merger().merge([one, two])
    assert joined["sample"].shape == (3, 4, 8, 8)
    assert joined["timestep"].tolist() == [1.0, 1.0, 5.0]
    assert torch.equal(
        joined["added_cond_kwargs"]["text_embeds"][2:], two.arguments["added_cond_kwargs"]["text_embeds"]
    )
    assert joined["added_cond_kwargs"]["image_embeds"] is None
    assert joined["return_dict"] is False


def test_a_single_row_stands_for_all_of_its_call() -> None:
    joined = Merger().merge([call(2, 1, guidance=torch.ones(1, 3)), call(2, 2, guidance=torch.zeros(2, 3))])
    assert joined["guidance"].sum(1).tolist() == [3.0, 3.0, 0.0, 0.0]


def test_positions_are_shared_not_joined() -> None:
    ids = torch.arange(12).reshape(4, 3)
    assert torch.equal(Merger().merge([call(1, 1, img_ids=ids), call(1, 2, img_ids=ids)])["img_ids"], ids)


@pytest.mark.parametrize(
    "changes",
    [
        {"sample": torch.zeros(2, 4, 16, 8)},
        {"sample": torch.zeros(2, 4, 8, 8, dtype=torch.float16)},
        {"encoder_hidden_states": torch.zeros(2, 9, 16)},
        {"return_dict": True},
        {"added_cond_kwargs": None},
        {"img_ids": torch.zeros(4, 3)},
    ],
)
def test_what_cannot_be_joined_has_another_signature(changes: dict[str, object]) -> None:
    assert call(2, 1).signature == call(2, 9).signature
    assert call(2, 1).signature != call(2, 1, **changes).signature


def test_the_output_is_split_as_the_rows_were_joined() -> None:
    tensor = torch.arange(6).reshape(3, 2)
    assert [part.tolist() for part in split(tensor, [1, 2])] == [[[0, 1]], [[2, 3], [4, 5]]]
    first, second = split((tensor, tensor + 10), [1, 2])
    assert first[1].tolist() == [[10, 11]]
    assert second[0].shape == (2, 2)


def test_outputs_with_names_keep_their_class() -> None:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

    first, second = split(UNet2DConditionOutput(sample=torch.arange(3)), [1, 2])
    assert isinstance(second, UNet2DConditionOutput)
    assert (first.sample.tolist(), second.sample.tolist()) == ([0], [1, 2])


def test_an_output_that_cannot_be_split_is_named() -> None:
    with pytest.raises(TypeError, match="list"):
        split([1, 2], [1, 1])


def test_what_stays_the_same_is_not_joined_again() -> None:
    merger, one, two = Merger(), call(2, 1), call(2, 2)
    before = merger.merge([one, two])
    later = Call({**one.arguments, "sample": torch.zeros(2, 4, 8, 8)}, 2)
    after = merger.merge([later, two])
    assert after["encoder_hidden_states"] is before["encoder_hidden_states"]
    assert torch.equal(after["sample"][:2], torch.zeros(2, 4, 8, 8))


def test_another_order_is_joined_anew() -> None:
    merger, one, two = Merger(), call(1, 1), call(1, 2)
    merger.merge([one, two])
    assert torch.equal(merger.merge([two, one])["sample"][0], two.arguments["sample"][0])
    assert torch.equal(merger.merge([two])["sample"], two.arguments["sample"])


def test_a_tensor_that_was_written_to_is_joined_anew() -> None:
    merger, one, two = Merger(), call(1, 1), call(1, 2)
    merger.merge([one, two])
    one.arguments["sample"].zero_()
    assert torch.equal(merger.merge([one, two])["sample"][:1], torch.zeros(1, 4, 8, 8))

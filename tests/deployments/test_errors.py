import pickle

import pytest

from deployments import errors

EXAMPLES = [
    errors.RenderError("m"),
    errors.InvalidRequest("m", "prompt"),
    errors.Unsupported("m", "size"),
    errors.DeadlineExceeded("m", 12.5),
    errors.CapacityRefused("m", 3.0),
    errors.OutOfMemory("m"),
    errors.ContentRefused("m"),
    errors.ModelFailed("m"),
    errors.ReplicaLost("m"),
    errors.ModelGone("m"),
]


def subclasses(of: type) -> set[type]:
    return {of}.union(*(subclasses(each) for each in of.__subclasses__()))


def test_the_examples_are_the_whole_tree_and_its_drawing() -> None:
    own = {each for each in subclasses(errors.RenderError) if each.__module__ == errors.__name__}
    assert {type(error) for error in EXAMPLES} == own
    assert errors.__doc__ is not None
    assert all(each.__name__ in errors.__doc__ and each.code in errors.__doc__ for each in own)  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_crosses_processes_as_itself(error: errors.RenderError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.__dict__ == error.__dict__
    assert again.message == "m"

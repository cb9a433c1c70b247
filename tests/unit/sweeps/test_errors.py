from sweeps import errors
from sweeps.errors import BadInputError, SweepError


def test_the_drawn_tree_names_every_error():
    classes = [cls for cls in vars(errors).values() if isinstance(cls, type)]
    assert all(issubclass(cls, SweepError) and cls.__name__ in errors.__doc__ for cls in classes)


def test_bad_input_keeps_its_problems_apart():
    error = BadInputError("first", "second")
    assert error.problems == ("first", "second")
    assert str(error) == "first\nsecond"
    assert isinstance(error, ValueError)

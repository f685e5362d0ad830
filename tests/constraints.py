"""Values of a parameter that an estimator takes, and others that it refuses by name."""

from typing import Any

import pytest


def check_taken_and_refused(cls: type, name: str, taken: list[Any], refused: list[Any]) -> None:
    """Set a parameter to each value; the error of one that is refused names the parameter and the value."""
    for value in taken:
        cls(**{name: value})._validate_params()
    for value in refused:
        with pytest.raises(ValueError, match=f"The '{name}' parameter of {cls.__name__} must be") as caught:
            cls(**{name: value})._validate_params()
        assert repr(value) in str(caught.value)

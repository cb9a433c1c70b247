"""A search space: for each hyperparameter a range, some choices, or one fixed value."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from bimt_core import load_task
from sweeps.spec.recipe import HYPERPARAMETERS, INTEGERS, SWITCHES, WORDS, Value, recipe


def _number(given: Any) -> Any:
    """A finite number; as text too, since YAML takes 1e-4, which has no point, for text."""
    try:
        number = float(given) if isinstance(given, str) else given
        if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number):
            return number
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"must be a finite number, got {given!r}")


Number = Annotated[int | float, BeforeValidator(_number)]
NumberOrNone = Annotated[int | float | None, BeforeValidator(lambda given: None if given is None else _number(given))]
Whole = Annotated[int, Field(strict=True)]


class Part(BaseModel):
    """A part of a sweep file: its keys are all known, and it never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(Part):
    """Values between two ends, both included.

    Args:
        low: Lower end.
        high: Upper end, above `low`.
        log: Sample the logarithm; `low` must then be above 0.
        step: Distance between neighbouring values; `high` is one of them. None for any value, or whole numbers.
    """

    low: Number
    high: Number
    log: bool = False
    step: NumberOrNone = None

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got low={self.low:g}, high={self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 where log is true, got {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError(f"step cannot be used where log is true, got {self.step:g}")
        if self.step is not None and not self.step > 0:
            raise ValueError(f"step must be above 0, got {self.step:g}")
        if self.step is not None and (Decimal(str(self.high)) - Decimal(str(self.low))) % Decimal(str(self.step)):
            ends = f"low={self.low:g}, high={self.high:g}"
            raise ValueError(f"high - low must be a multiple of step, got {ends}, step={self.step:g}")
        return self

    def samples(self, name: str) -> tuple[Any, ...]:
        """Values that stand for all that the hyperparameter of this name may take: the ends, and one beside an end."""
        ends = typed(name, self.low), typed(name, self.high)
        return (*ends, self.low + typed(name, self.step or 1)) if name in INTEGERS else ends


class Choices(Part):
    """One of several values."""

    choices: tuple[Value, ...] = Field(min_length=1)

    def samples(self, name: str) -> tuple[Any, ...]:
        """All values."""
        return self.choices

    @field_validator("choices")
    @classmethod
    def _differ(cls, choices: tuple[Value, ...]) -> tuple[Value, ...]:
        if len({repr(c) for c in choices}) < len(choices):
            raise ValueError(f"choices must differ, got {list(choices)}")
        return choices


Setting = Value | tuple[tuple[float, float], ...]


class Fixed(Part):
    """A value that is not searched."""

    value: Setting

    def samples(self, name: str) -> tuple[Any, ...]:
        """The value."""
        return (self.value,)


Parameter = Range | Choices | Fixed


def parse_parameter(name: str, given: Any) -> Parameter:
    """One entry of a search space: a mapping says by its keys what it is, a plain value is a fixed one."""
    if name not in HYPERPARAMETERS:
        raise ValueError(f"unknown hyperparameter, allowed are {', '.join(HYPERPARAMETERS)}")
    data = given.model_dump() if isinstance(given, Part) else given if isinstance(given, dict) else {"value": given}
    kind = kind_of(data)
    if kind is not Fixed and name == "cost_phases":
        raise ValueError(f"takes one value, a list of [fraction, factor], got {given!r}")
    if kind is Range and (name in SWITCHES | WORDS):
        raise ValueError(f"takes choices or one value, not a range, got {given!r}")
    if kind is Fixed:
        data = data | {"value": typed(name, data["value"])}
    if kind is Choices and isinstance(data["choices"], list | tuple):
        data = data | {"choices": [typed(name, value) for value in data["choices"]]}
    parameter = kind.model_validate(data)
    for value in parameter.samples(name) if name != "batch_size" else ():
        recipe(load_task("two_moons"), {name: value})  # the others are checked with the sweep's own task
    return parameter


def parse_setting(name: str, given: Any) -> Setting:
    """One value of a hyperparameter, where nothing is searched."""
    parameter = parse_parameter(name, given)
    if not isinstance(parameter, Fixed):
        raise ValueError(f"must be one value, got {given!r}")
    return parameter.value


def kind_of(data: Mapping[str, Any]) -> type[Range | Choices | Fixed]:
    """What a mapping in a search space describes, by its keys."""
    return Choices if "choices" in data else Fixed if "value" in data else Range


def typed(name: str, value: Any) -> Any:
    """A hyperparameter's value in its own type.

    Raises:
        ValueError: If it is of another kind.
    """
    if name == "cost_phases":
        return _phases(value)
    if name in SWITCHES | WORDS:
        kind, told = (bool, "true or false") if name in SWITCHES else (str, "a word")
        if not isinstance(value, kind):
            raise ValueError(f"must be {told}, got {value!r}")
        return value
    number = _number(value)
    if name in INTEGERS and not isinstance(number, int):
        raise ValueError(f"must be a whole number, got {value!r}")
    return number if name in INTEGERS else float(number)


def _phases(value: Any) -> tuple[tuple[float, float], ...]:
    try:
        return tuple((float(_number(fraction)), float(_number(factor))) for fraction, factor in value)
    except (TypeError, ValueError):
        raise ValueError(f"must be a list of [fraction, factor], got {value!r}") from None

"""Search space: a range, choices or a fixed value per hyperparameter, checked against the hyperparameter's type."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from bimt_core import load_task
from sweeps.spec.parts import Float, Number, NumberOrNone, Part, Switch, Whole
from sweeps.spec.recipe import HYPERPARAMETERS, recipe

Value = float | int | bool | str
Setting = Value | tuple[tuple[float, float], ...]


class Range(Part):
    """Values between two ends, both included.

    Args:
        low: Lower end.
        high: Upper end, above `low`.
        log: Samples on a logarithmic scale; `low` must then be above 0.
        step: Distance between neighbouring values; `high` is one of them. None for any value, or any whole number.
    """

    low: Number
    high: Number
    log: bool = False
    step: NumberOrNone = None

    @model_validator(mode="after")
    def _check_ends(self) -> "Range":
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
        """Returns values that represent the range in checks: both ends and, of integers, the value next to an end.

        Args:
            name: Hyperparameter.
        """
        ends = parse_value(name, self.low), parse_value(name, self.high)
        return (*ends, self.low + parse_value(name, self.step or 1)) if is_integer(name) else ends

    def contains(self, value: Any) -> bool:
        """Returns whether a value can be suggested.

        Args:
            value: Value of the hyperparameter's type.
        """
        if self.step is None:
            return bool(self.low <= value <= self.high)
        return bool(self.low <= value <= self.high) and not (
            (Decimal(str(value)) - Decimal(str(self.low))) % Decimal(str(self.step))
        )

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (f" in steps of {self.step:g}" if self.step is not None else "")


class Choices(Part):
    """Several values to choose from.

    Args:
        choices: At least one value, all different.
    """

    choices: tuple[Value, ...] = Field(min_length=1)

    @field_validator("choices")
    @classmethod
    def _check_different(cls, choices: tuple[Value, ...]) -> tuple[Value, ...]:
        if len({repr(c) for c in choices}) < len(choices):
            raise ValueError(f"choices must differ, got {list(choices)}")
        return choices

    def samples(self, name: str) -> tuple[Any, ...]:
        """See `Range.samples`: all choices."""
        return self.choices

    def contains(self, value: Any) -> bool:
        """See `Range.contains`: whether it is a choice."""
        return value in self.choices

    def __str__(self) -> str:
        return ", ".join(map(str, self.choices))


class Fixed(Part):
    """One value, which is not searched.

    Args:
        value: Value.
    """

    value: Setting

    def samples(self, name: str) -> tuple[Any, ...]:
        """See `Range.samples`: the value."""
        return (self.value,)

    def contains(self, value: Any) -> bool:
        """See `Range.contains`: whether it is the value."""
        return bool(value == self.value)

    def __str__(self) -> str:
        return str(self.value)


Parameter = Range | Choices | Fixed


def is_integer(name: str) -> bool:
    """Returns whether a hyperparameter takes whole numbers.

    Args:
        name: Hyperparameter.
    """
    return HYPERPARAMETERS[name] is int


def parse_value(name: str, value: Any) -> Any:
    """Converts a value to the type of its hyperparameter.

    Args:
        name: Hyperparameter.
        value: Value from a sweep file.

    Raises:
        ValueError: If the value has another type.
    """
    try:
        return _adapter(name).validate_python(value)
    except ValidationError:
        if name == "cost_phases":
            raise ValueError(f"must be a list of [fraction, factor], got {value!r}") from None
        raise


def parse_parameter(name: str, entry: Any) -> Parameter:
    """Reads an entry of a search space: the keys of a mapping decide its kind, any other value is fixed.

    Args:
        name: Hyperparameter.
        entry: Entry of a sweep file, or a parameter.

    Raises:
        ValueError: If the hyperparameter is unknown, or a value breaks one of its rules.
    """
    if name not in HYPERPARAMETERS:
        raise ValueError(f"unknown hyperparameter, allowed are {', '.join(HYPERPARAMETERS)}")
    data = entry.model_dump() if isinstance(entry, Part) else entry if isinstance(entry, dict) else {"value": entry}
    kind = parameter_kind(data)
    if kind is not Fixed and name == "cost_phases":
        raise ValueError(f"takes one value, a list of [fraction, factor], got {entry!r}")
    if kind is Range and HYPERPARAMETERS[name] not in (int, float):
        raise ValueError(f"takes choices or one value, not a range, got {entry!r}")
    if kind is Fixed:
        data = data | {"value": parse_value(name, data["value"])}
    if kind is Choices and isinstance(data["choices"], list | tuple):
        data = data | {"choices": [parse_value(name, value) for value in data["choices"]]}
    parameter = kind.model_validate(data)
    for value in parameter.samples(name) if name != "batch_size" else ():  # which is checked against the sweep's task
        recipe(load_task("two_moons"), {name: value})
    return parameter


def parse_setting(name: str, entry: Any) -> Setting:
    """Reads a value of a hyperparameter that is not searched.

    Args:
        name: Hyperparameter.
        entry: Entry of a sweep file.

    Raises:
        ValueError: If it is not a single value.
    """
    parameter = parse_parameter(name, entry)
    if not isinstance(parameter, Fixed):
        raise ValueError(f"must be one value, got {entry!r}")
    return parameter.value


def parameter_kind(data: Mapping[str, Any]) -> type[Parameter]:
    """Returns the kind of parameter that a mapping describes, by its keys.

    Args:
        data: Entry of a search space.
    """
    return Choices if "choices" in data else Fixed if "value" in data else Range


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_strict_type(HYPERPARAMETERS[name]))


def _strict_type(hint: Any) -> Any:
    """The type that checks a value as strictly as a sweep file needs: no rounding, no 1 for true."""
    if hint in (float, int, bool):
        return {float: Float, int: Whole, bool: Switch}[hint]
    if get_origin(hint) is tuple:
        return tuple[*(_strict_type(part) for part in get_args(hint))]  # type: ignore[misc]  # built at run time
    if get_origin(hint) in (Union, UnionType):  # of Literals: one error instead of one per member
        return Literal[tuple(word for member in get_args(hint) for word in get_args(member))]
    return hint

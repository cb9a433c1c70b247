"""Problems of a sweep file as lines for its author: the entry, the rule and the value."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails

RULES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of names to values",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than": "must be below {lt}",
    "literal_error": "must be {expected}",
    "string_type": "must be text",
    "too_short": "must have at least {min_length} entry",
    "tuple_type": "must be a list",
}

AllowedKeys = Callable[[list[str]], list[str]]


def format_problems(error: ValidationError, allowed_keys: AllowedKeys) -> list[str]:
    """Formats the problems of a model's data, one line per problem.

    Args:
        error: Error that the model raised.
        allowed_keys: Returns the keys that a mapping may have; its argument is the path of names to the mapping.
    """
    return [_format_problem(problem, allowed_keys) for problem in error.errors() if not _is_consequence(problem)]


def parse_entries(entries: Any, parse: Callable[[str, Any], Any]) -> Any:
    """Parses every entry of a mapping and collects the problems of all of them.

    Args:
        entries: Mapping; anything else is returned as it is, for the model to refuse.
        parse: Parses one entry, from its name and value.

    Raises:
        ValidationError: With the problems of all entries.
    """
    if not isinstance(entries, Mapping):
        return entries
    parsed: dict[str, Any] = {}
    problems: list[InitErrorDetails] = []
    for name, value in entries.items():
        try:
            parsed[name] = parse(name, value)
        except ValidationError as error:
            problems += [_nest_problem(problem, name) for problem in error.errors()]
        except ValueError as error:
            problems.append({"type": "value_error", "loc": (name,), "input": value, "ctx": {"error": error}})
    if problems:
        raise ValidationError.from_exception_data("entries", problems)
    return parsed


def _format_problem(problem: ErrorDetails, allowed_keys: AllowedKeys) -> str:
    if not problem["loc"]:
        return str(problem["ctx"]["error"])  # a rule about several entries, which names them itself
    path = [str(part) for part in problem["loc"]]
    entry, kind, value = ".".join(path), problem["type"], problem["input"]
    if kind in ("extra_forbidden", "invalid_key"):
        return f"unknown key {entry!r}, allowed are {', '.join(allowed_keys(path[:-1]))}"
    if kind == "missing":
        return f"{entry} is missing"
    if kind == "value_error":
        return f"{entry}: {str(problem['ctx']['error']).removeprefix(path[-1] + ' ')}"
    if kind in ("model_type", "model_attributes_type"):
        return f"{entry}: must be a mapping with the keys {', '.join(allowed_keys(path))}, got {value!r}"
    rule = RULES[kind].format(**problem.get("ctx", {})) if kind in RULES else problem["msg"]
    return f"{entry}: {rule}, got {value!r}"


def _is_consequence(problem: ErrorDetails) -> bool:
    """Returns whether a problem only follows from another: a list counts as empty when none of its entries is valid."""
    return problem["type"] == "too_short" and len(problem["input"]) > 0


def _nest_problem(problem: ErrorDetails, name: str) -> InitErrorDetails:
    path = (name, *problem["loc"])
    return {"type": problem["type"], "loc": path, "input": problem["input"], "ctx": problem.get("ctx", {})}

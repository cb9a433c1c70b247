"""What is wrong with plain data, as lines for its author: where, the rule, the value."""

from collections.abc import Callable

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

KeysOf = Callable[[list[str]], list[str]]


def lines_of(error: ValidationError, keys_of: KeysOf) -> list[str]:
    """One line a problem.

    Args:
        error: What a model says about the data.
        keys_of: The keys that the mapping at a place may have; a place is the names on the way to it.
    """
    return [_told(problem, keys_of) for problem in error.errors() if not _follows(problem)]


def _told(problem: ErrorDetails, keys_of: KeysOf) -> str:
    if not problem["loc"]:
        return str(problem["ctx"]["error"])  # a rule about several entries names them itself
    where = [str(part) for part in problem["loc"]]
    place, kind, got = ".".join(where), problem["type"], problem["input"]
    if kind in ("extra_forbidden", "invalid_key"):
        return f"unknown key {place!r}, allowed are {', '.join(keys_of(where[:-1]))}"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "value_error":
        return f"{place}: {str(problem['ctx']['error']).removeprefix(where[-1] + ' ')}"
    if kind in ("model_type", "model_attributes_type"):
        return f"{place}: must be a mapping with the keys {', '.join(keys_of(where))}, got {got!r}"
    rule = RULES[kind].format(**problem.get("ctx", {})) if kind in RULES else problem["msg"]
    return f"{place}: {rule}, got {got!r}"


def _follows(problem: ErrorDetails) -> bool:
    """Whether a problem is only another one's consequence: a list counts as empty when none of its entries is right."""
    return problem["type"] == "too_short" and len(problem["input"]) > 0


def placed(problem: ErrorDetails, place: str) -> InitErrorDetails:
    """A problem of an entry, for the mapping that holds the entry."""
    where = (place, *problem["loc"])
    return {"type": problem["type"], "loc": where, "input": problem["input"], "ctx": problem.get("ctx", {})}

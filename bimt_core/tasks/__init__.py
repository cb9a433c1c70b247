"""The tasks, by name, and how a task of one's own is found."""

import importlib
from collections.abc import Callable
from functools import cache

from bimt_core.tasks.algorithmic import modular_addition, permutation_s4
from bimt_core.tasks.boolean import majority_of_majorities, parity
from bimt_core.tasks.definition import Task
from bimt_core.tasks.images import digits, mnist
from bimt_core.tasks.sequences import delayed_response, in_context
from bimt_core.tasks.symbolic import compositionality, feature_sharing, independence, two_moons

TASKS: dict[str, Callable[..., Task]] = {
    factory.__name__: factory
    for factory in (
        independence,
        feature_sharing,
        compositionality,
        two_moons,
        modular_addition,
        permutation_s4,
        in_context,
        mnist,
        digits,
        majority_of_majorities,
        parity,
        delayed_response,
    )
}


def load_task(name: str, data_seed: int | None = None) -> Task:
    """The task of a name.

    Args:
        name: One of `TASKS`, or "module:function" for a task of one's own: the module is imported (so it is trusted
            code, and must be importable wherever networks are trained) and the function called, with `data_seed` where
            one is given; it returns a `Task`.
        data_seed: Seed of the data; None for the published one.

    Raises:
        ValueError: If there is no such task, or it cannot be made.
    """
    return _made(name, data_seed)


@cache
def _made(name: str, data_seed: int | None) -> Task:
    factory = _imported(name) if ":" in name else TASKS.get(name)
    if factory is None:
        raise ValueError(f"task must be one of {', '.join(sorted(TASKS))} or module:function, got {name!r}")
    made = factory() if data_seed is None else factory(data_seed)
    if not isinstance(made, Task):
        raise ValueError(f"task {name!r} must return a Task, got {type(made).__name__}")
    return made


def _imported(name: str) -> Callable[..., Task]:
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, SyntaxError) as error:
        raise ValueError(f"task {name!r}: cannot import {module!r}: {error}") from error
    except AttributeError:
        raise ValueError(f"task {name!r}: module {module!r} has no {function!r}") from None
    if not callable(found):
        raise ValueError(f"task {name!r}: {function!r} is not a function")
    factory: Callable[..., Task] = found
    return factory


__all__ = ["TASKS", "Task", "load_task"]

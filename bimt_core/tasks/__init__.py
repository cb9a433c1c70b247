"""Registry of tasks, and loading of tasks from other modules."""

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


def load_task(name: str, data_seed: int | None = None, published: bool = False) -> Task:
    """Loads a task.

    Args:
        name: One of `TASKS`, or "module:function". The module is imported, so it must be trusted, and importable
            wherever networks are trained. The function takes `data_seed` (no argument if None) and returns a `Task`.
        data_seed: Seed of the data; None for the published one.
        published: If True, test rows are those of the paper, or of the package before it had validation rows; only for
            `TASKS`. Where they are all that was held out of training, the same rows are the validation rows.

    Raises:
        ValueError: If there is no such task, the module or function fails to provide one, or it has no published rows.

    Examples:
        >>> task = load_task("two_moons")
        >>> task.network.shape, tuple(task.inputs.shape)
        ((2, 20, 20, 2), (200, 2))
    """
    return _load_task(name, data_seed, published)


@cache
def _load_task(name: str, data_seed: int | None, published: bool) -> Task:
    if published and ":" in name:
        raise ValueError(f"published is for the tasks {', '.join(sorted(TASKS))} only, got task {name!r}")
    factory = _import_factory(name) if ":" in name else TASKS.get(name)
    if factory is None:
        raise ValueError(f"task must be one of {', '.join(sorted(TASKS))} or module:function, got {name!r}")
    seed, flag = () if data_seed is None else (data_seed,), {"published": True} if published else {}
    task = factory(*seed, **flag)
    if not isinstance(task, Task):
        raise ValueError(f"task {name!r} must return a Task, got {type(task).__name__}")
    return task


def _import_factory(name: str) -> Callable[..., Task]:
    module, _, function = name.partition(":")
    try:
        factory: Callable[..., Task] = getattr(importlib.import_module(module), function)
    except (ImportError, SyntaxError) as error:
        raise ValueError(f"task {name!r}: cannot import {module!r}: {error}") from error
    except AttributeError:
        raise ValueError(f"task {name!r}: module {module!r} has no {function!r}") from None
    if not callable(factory):
        raise ValueError(f"task {name!r}: {function!r} is not a function")
    return factory


__all__ = ["TASKS", "Task", "load_task"]

"""Known starts: configurations that a sweep tries first, given in its spec or found by another sweep."""

import logging
from typing import Any

from sweeps.errors import BadInputError
from sweeps.spec.recipe import DEFAULTS
from sweeps.spec.sweep import SweepSpec
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names
from sweeps.study.study import SweepStudy

log = logging.getLogger(__name__)


def find_known_starts(spec: SweepSpec, store: Store) -> list[dict[str, Any]]:
    """Finds the searched hyperparameters of the configurations that a sweep tries first, at most its trials.

    Those of another sweep are its front, unless this one was launched before: then it has them. Hyperparameters are
    matched by name. The log tells what differs: others that
    it searched or fixed, and configurations outside this search space, which are left out.

    Args:
        spec: The sweep.
        store: Store of the sweep and of the other one.

    Raises:
        BadInputError: If there is no such sweep, it has no front yet, it did not search all that this one does, or none
            of its front is in this search space.
    """
    if not isinstance(spec.start_from, str):
        starts = [spec.complete_params(settings, source="start_from") for settings in spec.start_from]
        return starts[: spec.trials]
    if spec.name in list_sweep_names(store):
        return []
    other = SweepStudy.open(store, spec.start_from)
    source = f"start_from {spec.start_from!r}"
    if missing := [name for name in spec.searched if name not in other.spec.hyperparameters]:
        raise BadInputError(f"{source} must be a sweep over the same hyperparameters: it has no {', '.join(missing)}")
    front = other.front()
    if not front:
        raise BadInputError(f"{source} must be a sweep with a front, it has none yet")
    starts = []
    for trial in front:
        try:
            trained = DEFAULTS | trial.params  # a variant need not set what other variants do
            settings = {name: trained[name] for name in spec.searched if name in trained}
            starts.append(spec.complete_params(settings, source=source))
        except ValueError as error:
            log.warning("trial %d is left out: %s", trial.number, error)
    if not starts:
        raise BadInputError(f"{source} must have a front in this search space, none of its {len(front)} trials is")
    _tell_differences(spec, other.spec)
    return starts[: spec.trials]


def _tell_differences(spec: SweepSpec, other: SweepSpec) -> None:
    if other.task != spec.task:
        log.warning("start_from %s: its task is %s, this one's %s", other.name, other.task, spec.task)
    ignored = [name for name in other.searched if name not in spec.searched]
    if ignored:
        log.warning("start_from %s: its %s is not searched here", other.name, ", ".join(ignored))
    for name in sorted({*spec.fixed, *other.fixed}):
        here, there = spec.fixed.get(name, "published"), other.fixed.get(name, "published")
        if here != there and name not in ignored and name not in spec.searched:
            log.warning("start_from %s: its %s is %s, here it is %s", other.name, name, there, here)

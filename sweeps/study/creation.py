"""Creation of a sweep's Optuna study, and the check that a later launch is of the same sweep."""

import uuid

import optuna
from optuna.storages import BaseStorage

from sweeps.errors import BadInputError
from sweeps.spec.sweep import SweepSpec
from sweeps.study.storage import is_sweep


def load_or_create_study(storage: BaseStorage, spec: SweepSpec) -> optuna.Study:
    """Loads the study of a sweep, or creates it; a study that a killed launch left unfinished is created again.

    Args:
        storage: Optuna storage.
        spec: The sweep.

    Raises:
        BadInputError: If the storage has a study of that name that is not a sweep.
    """
    if spec.name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=spec.name, storage=storage)
        if is_sweep(study):
            return study
        if study.get_trials(deepcopy=False):
            raise BadInputError(f"the storage has a study {spec.name!r} that is not a sweep; use another name")
        optuna.delete_study(study_name=spec.name, storage=storage)
    directions = [objective.direction for objective in spec.objectives]
    study = optuna.create_study(study_name=spec.name, storage=storage, directions=directions)
    study.set_user_attr("sweep_id", uuid.uuid4().hex[:12])
    for variant in spec.variants:
        study.enqueue_trial({"variant": variant})
    study.set_user_attr("spec", spec.model_dump(mode="json"))
    return study


def check_same_sweep(study: optuna.Study, spec: SweepSpec) -> None:
    """Refuses a spec that differs from the one the study was created for.

    Args:
        study: Study of the sweep.
        spec: Spec of this launch.

    Raises:
        BadInputError: If anything but `trials` differs, or `trials` is smaller.
    """
    before, now = study.user_attrs["spec"], spec.model_dump(mode="json")
    if now["trials"] < before["trials"]:
        raise BadInputError(
            f"sweep {spec.name!r} exists: trials can only be raised from {before['trials']}, got {now['trials']}"
        )
    different = [key for key in now if key != "trials" and now[key] != before.get(key)]
    if different:
        changes = [f"{key} was {before.get(key)!r}, is {now[key]!r}" for key in different]
        raise BadInputError(f"sweep {spec.name!r} exists with another spec: {'; '.join(changes)}; use another name")

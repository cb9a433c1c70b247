"""Creation of a sweep's Optuna study, and the check that a later launch is of the same sweep."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from sweeps.errors import BadInputError
from sweeps.spec.sweep import SweepSpec
from sweeps.study.samplers import make_distributions
from sweeps.study.storage import FORMAT, is_sweep


def load_or_create_study(
    storage: BaseStorage, spec: SweepSpec, known_starts: Sequence[Mapping[str, Any]]
) -> optuna.Study:
    """Loads the study of a sweep, or creates it; a study that a killed launch left unfinished is created again.

    Args:
        storage: Optuna storage.
        spec: The sweep.
        known_starts: Searched hyperparameters of the configurations that a new study tries first.

    Raises:
        BadInputError: If the storage has a study of that name that is not a sweep, or an older version made it.
    """
    if spec.name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=spec.name, storage=storage, sampler=RandomSampler())
        check_is_current(study)
        if is_sweep(study):
            return study
        if study.get_trials(deepcopy=False) and "sweep_id" not in study.user_attrs:
            raise BadInputError(f"the storage has a study {spec.name!r} that is not a sweep; use another name")
        optuna.delete_study(study_name=spec.name, storage=storage)
    directions = [objective.direction for objective in spec.objectives]
    study = optuna.create_study(study_name=spec.name, storage=storage, directions=directions, sampler=RandomSampler())
    study.set_user_attr("sweep_id", uuid.uuid4().hex[:12])
    study.set_user_attr("format", FORMAT)
    distributions, attrs = make_distributions(spec), {"role": "search", "seeds": list(spec.seeds)}
    for params in [{"variant": variant} for variant in spec.variants] or known_starts:
        waiting = create_trial(
            state=TrialState.WAITING, params=dict(params), distributions=distributions, user_attrs=attrs
        )
        study.add_trial(waiting)
    study.set_user_attr("spec", spec.model_dump(mode="json"))
    return study


def check_is_current(study: optuna.Study) -> None:
    """Refuses a sweep that an older version of this package made, whose metrics had other names.

    Args:
        study: Any study.

    Raises:
        BadInputError: If it is such a sweep.
    """
    if is_sweep(study) and study.user_attrs.get("format") != FORMAT:
        raise BadInputError(
            f"sweep {study.study_name!r} is of an older version of bimt-sweeps (0.2 or earlier):"
            " read it with that version, or launch it again under another name"
        )


def check_same_sweep(study: optuna.Study, spec: SweepSpec) -> None:
    """Refuses a spec that differs from the one the study was created for.

    Args:
        study: Study of the sweep.
        spec: Spec of this launch.

    Raises:
        BadInputError: If anything but `trials` and `confirm` differs, or `trials` is smaller.
    """
    before, now = study.user_attrs["spec"], spec.model_dump(mode="json")
    if now["trials"] < before["trials"]:
        raise BadInputError(
            f"sweep {spec.name!r} exists: trials can only be raised from {before['trials']}, got {now['trials']}"
        )
    different = [key for key in now if key not in ("trials", "confirm") and now[key] != before.get(key)]
    if different:
        changes = [f"{key} was {before.get(key)!r}, is {now[key]!r}" for key in different]
        raise BadInputError(f"sweep {spec.name!r} exists with another spec: {'; '.join(changes)}; use another name")

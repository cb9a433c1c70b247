"""The only module that uses names of Ray without a promise of stability.

pyproject.toml bounds Ray to the versions that have them; tests check each with the version in constraints.txt.
"""

import os
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

# Environment variables that Ray Tune reads when it is imported. Its documentation lists some of them.
TUNE_SETTINGS = {
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's own state grows with every cohort and is never restored
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # three unused files per cohort
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table at every verbosity
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
CREDENTIALS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"}
CLIENT_LOGGERS = (  # log every upload of a working folder
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
NO_CHECKPOINT = SimpleNamespace(checkpoint=None)  # what Trainable.save returns, in place of a private class
SUPERVISOR_DIED = "JOB_SUPERVISOR_ACTOR_DIED"  # the error type of a killed job


def apply_settings() -> None:
    """Sets Ray's environment variables, unless they are set, and keeps the driver's credentials from workers.

    Tune copies AWS credentials to all workers, and thereby to Ray's logs and dashboard. Workers have their own.
    """
    for name, value in TUNE_SETTINGS.items():
        os.environ.setdefault(name, value)
    from ray.tune.execution import class_cache

    class_cache.ENV_VARS_TO_PROPAGATE -= CREDENTIALS


def supervisor_actor(job: str) -> tuple[str, str]:
    """Returns the name and the namespace of the actor that supervises a job; the Jobs API cannot kill one.

    Args:
        job: Submission id.
    """
    from ray.dashboard.modules.job.common import JOB_ACTOR_NAME_TEMPLATE, SUPERVISOR_ACTOR_RAY_NAMESPACE

    return JOB_ACTOR_NAME_TEMPLATE.format(job_id=job), SUPERVISOR_ACTOR_RAY_NAMESPACE


def forget_last_result(trainable: Any) -> None:
    """Keeps `Trainable.save` from adding the last result to the checkpoint; Ray would send and keep it again.

    Args:
        trainable: A Trainable.
    """
    trainable._last_result = None


def open_checkpoint(saved: Any) -> AbstractContextManager[str]:
    """Opens the folder of what `Trainable.save` returned, a private class, which `Trainable.restore` receives.

    Args:
        saved: The argument of `Trainable.restore`.
    """
    folder: AbstractContextManager[str] = saved.checkpoint.as_directory()
    return folder

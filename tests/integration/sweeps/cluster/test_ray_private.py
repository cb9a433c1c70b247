"""The private names of Ray, checked with the installed version."""

import inspect
import os
import tomllib
from pathlib import Path

import ray
from packaging.requirements import Requirement
from packaging.version import Version
from ray import tune
from ray.tune.execution import class_cache

from sweeps.cluster import ray_private

PROJECT = Path(__file__).parents[4]


def test_credentials_are_kept_from_workers(monkeypatch):
    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", set(class_cache.ENV_VARS_TO_PROPAGATE) | {"OTHER"})
    class_cache.ENV_VARS_TO_PROPAGATE |= ray_private.CREDENTIALS
    ray_private.apply_settings()
    assert "OTHER" in class_cache.ENV_VARS_TO_PROPAGATE
    assert not class_cache.ENV_VARS_TO_PROPAGATE & ray_private.CREDENTIALS
    assert "ENV_VARS_TO_PROPAGATE" in inspect.getsource(class_cache), "Tune reads the set that is changed"


def test_settings_do_not_replace_the_users(monkeypatch):
    for name in ray_private.TUNE_SETTINGS:
        monkeypatch.setenv(name, "mine")
    ray_private.apply_settings()
    assert {os.environ[name] for name in ray_private.TUNE_SETTINGS} == {"mine"}


def test_ray_still_reads_every_setting():
    root = Path(ray.__file__).parent
    text = "\n".join(
        path.read_text()
        for folder in ("tune", "train", "air", "_common", "_private")
        for path in (root / folder).rglob("*.py")
    )
    assert [name for name in ray_private.TUNE_SETTINGS if name not in text] == []


def test_a_jobs_supervisor_is_named_as_ray_names_it():
    from ray.dashboard.modules.job import job_manager
    from ray.dashboard.modules.job.common import JobErrorType

    name, namespace = ray_private.supervisor_actor("moons")
    assert name.endswith("moons")
    assert namespace
    source = inspect.getsource(job_manager)
    assert "JOB_ACTOR_NAME_TEMPLATE" in source and "SUPERVISOR_ACTOR_RAY_NAMESPACE" in source
    assert JobErrorType.JOB_SUPERVISOR_ACTOR_DIED.value == ray_private.SUPERVISOR_DIED


def test_a_checkpoint_is_saved_without_the_last_result_and_opened_again(tmp_path):
    class Trainable(tune.Trainable):
        def step(self):
            return {"metric": 1}

        def save_checkpoint(self, checkpoint_dir):
            Path(checkpoint_dir, "state").write_text("3")

    trainable = Trainable()
    trainable.train()
    assert trainable._last_result["metric"] == 1
    ray_private.forget_last_result(trainable)
    saved = trainable.save(str(tmp_path))
    assert not saved.metrics
    assert hasattr(saved, "checkpoint")
    with ray_private.open_checkpoint(saved) as folder:
        assert Path(folder, "state").read_text() == "3"


def test_the_tested_version_is_the_newest_allowed_one():
    """A newer minor version may lack the private names."""
    metadata = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    (ray_requirement,) = (r for r in map(Requirement, metadata["dependencies"]) if r.name == "ray")
    pins = dict(line.split("==") for line in (PROJECT / "constraints.txt").read_text().splitlines() if "==" in line)
    tested = Version(pins["ray"])
    assert str(tested) == ray.__version__
    assert tested in ray_requirement.specifier
    assert Version(f"{tested.major}.{tested.minor + 1}.0") not in ray_requirement.specifier

"""An MLflow store for one test, and functions that read it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from sweeps.store import Store
from sweeps.tracking.reading import create_client
from sweeps.tracking.record import KEY_TAG
from sweeps.tracking.run_writer import Target
from sweeps.tracking.spool import Spool


@dataclass(frozen=True)
class Lab:
    """A store with an experiment "small" to write to."""

    store: Store

    def target(self, uri=None):
        return Target(uri or self.store.mlflow_uri, "small", str(self.store.artifacts), "The note.")

    @property
    def spool(self):
        return Spool(self.store.work_folder("small") / "spool")

    @cached_property
    def mlflow(self):
        return create_client(self.store.mlflow_uri)

    def runs(self):
        """Runs by key."""
        experiment = self.mlflow.get_experiment_by_name("small")
        runs = self.mlflow.search_runs([experiment.experiment_id]) if experiment else []
        by_key = {run.data.tags[KEY_TAG]: run for run in runs}
        assert len(by_key) == len(runs)
        return by_key

    def artifacts(self, run, folder=None):
        """Paths of all artifacts of a run."""
        paths = []
        for entry in self.mlflow.list_artifacts(run.info.run_id, folder):
            paths += self.artifacts(run, entry.path) if entry.is_dir else [entry.path]
        return paths

    def content(self, run, path):
        return Path(self.mlflow.download_artifacts(run.info.run_id, path)).read_bytes()

    def metric_history(self, key, metric):
        return self.mlflow.get_metric_history(self.runs()[key].info.run_id, metric)


@pytest.fixture
def lab(new_store, tmp_path):
    return Lab(new_store(tmp_path / "a folder with spaces"))

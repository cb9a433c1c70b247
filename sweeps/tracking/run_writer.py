"""MLflow calls that write runs."""

import json
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sweeps.tracking.reading import create_client, create_database, list_run_ids
from sweeps.tracking.record import KEY_TAG, NOTE_TAG, PARENT_TAG, Record

THUMBNAIL = (256, 256)  # pixels at most


@dataclass(frozen=True)
class Target:
    """One MLflow experiment.

    Args:
        uri: MLflow's tracking URI.
        experiment: Name of the experiment, created if missing.
        artifacts: Folder for the artifacts of a new experiment; None for the server's default.
        note: Description of a new experiment.
    """

    uri: str
    experiment: str
    artifacts: str | None
    note: str


class RunWriter:
    """Writes records to the runs of an experiment. After an error create a new one, which reads the runs again.

    Args:
        target: The experiment.
    """

    def __init__(self, target: Target) -> None:
        create_database(target.uri)
        self._client = create_client(target.uri)
        existing = self._client.get_experiment_by_name(target.experiment)
        if existing is None:
            location = None if target.artifacts is None else (Path(target.artifacts) / target.experiment).as_uri()
            tags = {NOTE_TAG: target.note, "mlflow.experimentKind": "custom_model_development"}
            self._experiment = self._client.create_experiment(target.experiment, artifact_location=location, tags=tags)
        else:
            self._experiment = existing.experiment_id
        self._runs = {} if existing is None else list_run_ids(self._client, self._experiment)

    def write(self, records: Sequence[tuple[Record, Path]]) -> None:
        """Writes records of one run. Writing a record twice has no further effect.

        Args:
            records: The records, oldest first, each with the folder of its files, which may not exist.
        """
        from mlflow.entities import Metric, Param, RunTag

        run = self._find_or_create_run(records[0][0])
        params = {name: value for record, _ in records for name, value in record.params.items()}
        tags = {name: value for record, _ in records for name, value in record.tags.items()}
        tables = [{"path": name, "type": "table"} for record, _ in records for name in record.table]
        if any(record.image is not None for record, _ in records):
            tags["mlflow.loggedImages"] = "True"
        if tables:
            tags["mlflow.loggedArtifacts"] = json.dumps(tables)
        self._client.log_batch(
            run,
            metrics=[Metric(name, v, ms, step) for record, _ in records for name, v, step, ms in record.points],
            params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        for record, files in records:
            for name, table in record.table.items():  # MLflow's log_table would append to a table that exists
                files.mkdir(exist_ok=True)
                (files / name).write_text(json.dumps(table))
            if record.image is not None:
                _add_image(files, record, record.image)
            if files.is_dir():
                self._client.log_artifacts(run, str(files))
            if record.status == "RUNNING":
                self._client.update_run(run, record.status)
            elif record.status is not None:
                self._client.set_terminated(run, record.status, record.end_ms)

    def _find_or_create_run(self, record: Record) -> str:
        if record.key not in self._runs:
            tags = {KEY_TAG: record.key}
            if record.parent in self._runs:
                tags[PARENT_TAG] = self._runs[record.parent]
            run = self._client.create_run(self._experiment, record.start_ms, tags, run_name=record.name)
            self._runs[record.key] = str(run.info.run_id)
        return self._runs[record.key]


def _add_image(files: Path, record: Record, image: str) -> None:
    """Adds an image under the name that MLflow's log_image would give it, so that the UI shows it among the charts.

    MLflow's own name has a random part; here the part depends on the run only, so writing again overwrites the image.
    """
    from PIL import Image

    key = str(PurePosixPath(image).with_suffix("")).replace("/", "~")
    step = max((step for _, _, step, _ in record.points), default=0)
    name = f"{key}+step+{step}+timestamp+{record.end_ms}+{uuid.uuid5(uuid.NAMESPACE_OID, record.key)}"
    (files / "images").mkdir(exist_ok=True)
    shutil.copyfile(files / image, files / "images" / f"{name}.png")
    with Image.open(files / image) as picture:
        picture.thumbnail(THUMBNAIL)
        picture.save(files / "images" / f"{name}+compressed.webp")

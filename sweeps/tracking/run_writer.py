"""The MLflow calls that write runs."""

import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sweeps.tracking.reading import KEY_TAG, create_client, create_database, run_ids
from sweeps.tracking.spool import Record

PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
THUMBNAIL = (256, 256)  # pixels at most


@dataclass(frozen=True)
class Target:
    """One MLflow experiment.

    Args:
        uri: MLflow's tracking URI.
        experiment: Name of the experiment, made when needed.
        artifacts: Where a new experiment's artifacts go, a folder; None leaves it to the server.
        note: The experiment's description.
    """

    uri: str
    experiment: str
    artifacts: str | None
    note: str


class RunWriter:
    """Writes records to the runs of an experiment. After an error make a new one: it reads which runs there are."""

    def __init__(self, target: Target) -> None:
        create_database(target.uri)
        self._client = create_client(target.uri)
        found = self._client.get_experiment_by_name(target.experiment)
        if found is None:
            location = None if target.artifacts is None else (Path(target.artifacts) / target.experiment).as_uri()
            tags = {NOTE_TAG: target.note, "mlflow.experimentKind": "custom_model_development"}
            self._experiment = self._client.create_experiment(target.experiment, artifact_location=location, tags=tags)
        else:
            self._experiment = found.experiment_id
        self._runs = {} if found is None else run_ids(self._client, self._experiment)

    def write(self, records: list[tuple[Record, Path]]) -> None:
        """Adds records of one run, each with the folder of its files."""
        from mlflow.entities import Metric, Param, RunTag

        run = self._run_id(records[0][0])
        points = [point for record, _ in records for point in record.points]
        params = {name: value for record, _ in records for name, value in record.params.items()}
        tags = {name: value for record, _ in records for name, value in record.tags.items()}
        tables = [name for record, _ in records for name in record.table]
        if any(record.image is not None for record, _ in records):
            tags["mlflow.loggedImages"] = "True"
        if tables:
            tags["mlflow.loggedArtifacts"] = json.dumps([{"path": name, "type": "table"} for name in tables])
        self._client.log_batch(
            run,
            metrics=[Metric(name, value, ms, step) for name, value, step, ms in points],
            params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        for record, files in records:
            for name, table in record.table.items():  # as MLflow's log_table, but whole: writing again does not append
                files.mkdir(exist_ok=True)
                (files / name).write_text(json.dumps(table))
            if record.image is not None:
                _add_image(files, record)
            if files.is_dir():
                self._client.log_artifacts(run, str(files))
            if record.status == "RUNNING":
                self._client.update_run(run, record.status)
            elif record.status is not None:
                self._client.set_terminated(run, record.status, record.end_ms)

    def _run_id(self, record: Record) -> str:
        if record.key not in self._runs:
            tags = {KEY_TAG: record.key}
            if record.parent in self._runs:
                tags[PARENT_TAG] = self._runs[record.parent]
            run = self._client.create_run(self._experiment, record.start_ms, tags, run_name=record.name)
            self._runs[record.key] = str(run.info.run_id)
        return self._runs[record.key]


def _add_image(files: Path, record: Record) -> None:
    """Adds the record's picture as MLflow's log_image would, which shows it among the charts with its step.

    MLflow's own gives a picture another name each time, so writing it again would add one.
    """
    from PIL import Image

    picture = files / str(record.image)
    key = str(PurePosixPath(str(record.image)).with_suffix("")).replace("/", "~")
    step = max((step for _, _, step, _ in record.points), default=0)
    name = f"{key}+step+{step}+timestamp+{record.end_ms}+{uuid.uuid5(uuid.NAMESPACE_OID, record.key)}"
    (files / "images").mkdir(exist_ok=True)
    shutil.copyfile(picture, files / "images" / f"{name}.png")
    with Image.open(picture) as image:
        image.thumbnail(THUMBNAIL)
        image.save(files / "images" / f"{name}+compressed.webp")

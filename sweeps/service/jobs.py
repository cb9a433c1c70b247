"""The Jobs API of a Ray cluster: authentication, and the jobs of the cluster."""

import logging
import os
import re
import shlex
import uuid
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import requests

from sweeps.cluster.ray_private import CLIENT_LOGGERS, SUPERVISOR_DIED, supervisor_actor
from sweeps.errors import BadInputError, ClusterError
from sweeps.service.streams import iterate

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

ANSWER_TIMEOUT_S = 5.0
STATE_TIMEOUT_S = 60.0
OVERRIDING_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")  # Ray's client prefers them to the given address
KILL = "python -c {}".format(shlex.quote("import sys; from sweeps.service.jobs import kill_job; kill_job(sys.argv[1])"))
NOT_UPLOADED = ["bimt-store", ".?*"]  # patterns as in a .gitignore, which is respected too


@dataclass(frozen=True)
class Job:
    """A job of a cluster.

    Args:
        name: Submission id.
        status: "PENDING", "RUNNING", "SUCCEEDED", "FAILED" or "STOPPED".
        submitted_at: Local time.
        ended_at: Local time; None before the end.
        has_node: Whether a node was found for it.
        was_killed: Whether its supervising process was killed from outside.
        exit_code: Exit code of its command; None before the end and for a killed command.
        message: Reason of a failure, many lines.
        metadata: Metadata from the submission.
    """

    name: str
    status: str
    submitted_at: datetime
    ended_at: datetime | None = None
    has_node: bool = False
    was_killed: bool = False
    exit_code: int | None = None
    message: str = ""
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """True for a job that will not change any more."""
        return self.status in ("SUCCEEDED", "FAILED", "STOPPED")


class Jobs:
    """Connection to the Jobs API.

    Args:
        address: Address of the dashboard, such as http://127.0.0.1:8265.
        insecure: Whether to accept a cluster without token authentication.

    Raises:
        BadInputError: If the address is malformed, the cluster has no authentication, or it refuses the token.
        ClusterError: If the cluster does not answer.
    """

    def __init__(self, address: str, *, insecure: bool = False) -> None:
        self.address = _check_address(address)
        is_open = self._is_open()
        if is_open and not insecure:
            raise BadInputError(
                f"the cluster at {self.address} requires no token, so anybody who reaches it can run code on it; start"
                " it with RAY_AUTH_MODE=token, or use it as it is with --insecure"
            )
        token, self._token_source = _read_token()
        if not token and not is_open:
            raise BadInputError(
                f"the cluster at {self.address} requires a token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or write"
                " it to ~/.ray/auth_token"
            )
        self._headers = {} if is_open else {"Authorization": f"Bearer {token}"}
        for logger in CLIENT_LOGGERS:
            logging.getLogger(logger).setLevel(logging.WARNING)
        from ray.job_submission import JobSubmissionClient

        with self._translate_errors():
            self._client = JobSubmissionClient(self.address, headers=self._headers)

    def find(self, name: str) -> Job | None:
        """Returns the job of a name; None if there is none.

        Args:
            name: Submission id.
        """
        return next((job for job in self.list_all() if job.name == name), None)

    def list_all(self) -> list[Job]:
        """Lists all jobs, the oldest first."""
        with self._translate_errors():
            details = self._client.list_jobs()
        return [_parse_job(d) for d in sorted(details, key=lambda d: d.start_time or 0) if d.submission_id]

    def submit(
        self, name: str, entrypoint: str, folder: Path, *, metadata: dict[str, str], env: dict[str, str], resource: str
    ) -> bool:
        """Submits a job; returns False if its name exists already.

        Args:
            name: Submission id.
            entrypoint: Shell command that the cluster's head runs in the folder.
            folder: Folder to upload.
            metadata: Metadata of the job.
            env: Environment variables of the job and its workers; visible to all users of the cluster.
            resource: A resource of which the job holds 1, if the cluster has it; jobs wait for it in order.
        """
        resources = {resource: 1.0} if self.count_resource(resource) else None
        with self._translate_errors():
            try:
                self._client.submit_job(
                    entrypoint=entrypoint,
                    submission_id=name,
                    runtime_env={"working_dir": str(folder), "env_vars": env, "excludes": NOT_UPLOADED},
                    metadata=metadata,
                    entrypoint_resources=resources,
                )
            except RuntimeError as error:
                if "already exists" in str(error):
                    return False
                raise
        return True

    def count_resource(self, resource: str) -> int:
        """Returns the total of a resource over all running nodes.

        Args:
            resource: Name of the resource.
        """
        with self._translate_errors():
            url = f"{self.address}/api/v0/nodes?detail=1"
            answer = requests.get(url, headers=self._headers, timeout=STATE_TIMEOUT_S)
            answer.raise_for_status()
            nodes = answer.json()["data"]["result"]["result"]
        return int(sum(node["resources_total"].get(resource, 0) for node in nodes if node["state"] == "ALIVE"))

    def read_log(self, name: str) -> str:
        """Returns the output of a job, with that of earlier submissions of its name.

        Args:
            name: Submission id.
        """
        with self._translate_errors():
            return str(self._client.get_job_logs(name))

    def follow_log(self, name: str) -> Generator[str]:
        """Yields the output of a job as it is printed, until the job ends.

        Args:
            name: Submission id.
        """
        with self._translate_errors():
            yield from iterate(cast("AsyncGenerator[str]", self._client.tail_job_logs(name)))

    def stop(self, name: str) -> None:
        """Sends a job's processes its RAY_JOB_STOP_SIGNAL, and SIGKILL after its RAY_JOB_STOP_WAIT_TIME_S.

        Args:
            name: Submission id.
        """
        with self._translate_errors():
            self._client.stop_job(name)

    def kill(self, name: str) -> None:
        """Kills a job, also while it waits, by means of another job, since the API has no call for it.

        Args:
            name: Submission id.
        """
        with self._translate_errors():
            self._client.submit_job(
                entrypoint=f"{KILL} {shlex.quote(name)}",
                submission_id=f"bimt-kill-{uuid.uuid4().hex[:8]}",
                metadata={"bimt.kills": name},
            )

    def delete(self, name: str) -> None:
        """Deletes the entry of a finished job, unless another client has done so.

        Args:
            name: Submission id.
        """
        with self._translate_errors():
            try:
                self._client.delete_job(name)
            except RuntimeError:
                job = self.find(name)
                if job is not None and job.is_finished:
                    raise

    def _is_open(self) -> bool:
        try:
            answer = requests.get(f"{self.address}/api/version", timeout=ANSWER_TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            raise ClusterError(f"no cluster answers at {self.address}: {_summarize_error(error)}") from error
        if answer.status_code in (401, 403):
            return False
        if answer.status_code == 200 and '"ray_version"' in answer.text:
            return True
        raise ClusterError(f"the server at {self.address} is not a Ray dashboard (status {answer.status_code})")

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raises what Ray's client raises as one of our errors, in one line."""
        from aiohttp import ClientError
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise BadInputError(f"the cluster at {self.address} refuses the token of {self._token_source}") from error
        except (requests.RequestException, ClientError, RuntimeError, OSError) as error:
            raise ClusterError(f"the cluster at {self.address} failed to answer: {_summarize_error(error)}") from error


def kill_job(name: str) -> None:
    """Kills the process that supervises a job, from inside the cluster; the job's processes end with it.

    Args:
        name: Submission id.
    """
    import ray

    ray.init(logging_level=logging.CRITICAL, log_to_driver=False)
    actor, namespace = supervisor_actor(name)
    ray.kill(ray.get_actor(actor, namespace=namespace))


def _check_address(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise BadInputError(
            f"address must look like http://127.0.0.1:8265, got {parts._replace(netloc='...').geturl()}"
        )
    for name in OVERRIDING_VARIABLES:
        if os.environ.get(name):
            raise BadInputError(f"{name} is set, and Ray would use it instead of the address {address}; unset it")
    return address.rstrip("/")


def _read_token() -> tuple[str, str]:
    """Returns Ray's token and its source, in Ray's own order of precedence."""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token, "RAY_AUTH_TOKEN"
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    try:
        return path.read_text().strip(), str(path)
    except OSError:
        return "", ""


def _parse_job(details: "JobDetails") -> Job:
    def parse_time(stamp_ms: int | None) -> datetime | None:
        return datetime.fromtimestamp(stamp_ms // 1000) if stamp_ms else None

    return Job(
        name=details.submission_id or "",
        status=details.status.value,
        submitted_at=parse_time(details.start_time) or datetime.fromtimestamp(0),
        ended_at=parse_time(details.end_time),
        has_node=details.driver_node_id is not None,
        was_killed=details.error_type == SUPERVISOR_DIED,
        exit_code=details.driver_exit_code,
        message=details.message or "",
        metadata=details.metadata or {},
    )


def _summarize_error(error: BaseException) -> str:
    """Returns the cause of an error in one line; some messages hold a whole traceback or connection stack."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if cause := re.search(r"\[Errno -?\d+\] ([^'\"()\[\]]+)", str(error)):
        return cause[1].strip()
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else type(error).__name__

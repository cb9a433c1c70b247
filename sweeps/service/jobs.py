"""The Jobs API of a Ray cluster: who may use it, and what runs there."""

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

from sweeps.errors import BadInputError, ClusterError
from sweeps.service.streams import iterate

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

ANSWER_TIMEOUT_S = 5.0
STATE_TIMEOUT_S = 60.0
OTHER_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")  # Ray's client takes them instead of the one it is given
KILL = "python -c {}".format(shlex.quote("import sys; from sweeps.service.jobs import kill; kill(sys.argv[1])"))
TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
NOT_UPLOADED = ["bimt-store", ".?*"]  # as in a .gitignore, which counts too


@dataclass(frozen=True)
class Job:
    """What a cluster knows of a job.

    Args:
        name: Its submission id.
        status: "PENDING", "RUNNING", "SUCCEEDED", "FAILED" or "STOPPED".
        submitted: When, local time.
        ended: When, local time; None before the end.
        placed: Whether a node was found for it.
        killed: Whether its supervising process was ended from outside.
        exit_code: Of its command; None before the end, and where it was ended.
        message: Why it failed, many lines.
        metadata: What was submitted with it.
    """

    name: str
    status: str
    submitted: datetime
    ended: datetime | None = None
    placed: bool = False
    killed: bool = False
    exit_code: int | None = None
    message: str = ""
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether it will not change any more."""
        return self.status in ("SUCCEEDED", "FAILED", "STOPPED")


class Jobs:
    """A connection to the Jobs API.

    Args:
        address: The dashboard's, such as http://127.0.0.1:8265.
        insecure: Whether a cluster that asks for no token will do.

    Raises:
        BadInputError: If the address is none, the cluster asks for no token, or it refuses ours.
        ClusterError: If it does not answer.
    """

    def __init__(self, address: str, *, insecure: bool = False) -> None:
        self.address = _checked(address)
        open_to_all = self._is_open()
        if open_to_all and not insecure:
            raise BadInputError(
                f"the cluster at {self.address} asks for no token, so whoever reaches it can run anything on it; start"
                " it with RAY_AUTH_MODE=token, or use it as it is with --insecure"
            )
        token, self._token_source = _token()
        if not token and not open_to_all:
            raise BadInputError(
                f"the cluster at {self.address} asks for a token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or write"
                " it to ~/.ray/auth_token"
            )
        self._headers = {} if open_to_all else {"Authorization": f"Bearer {token}"}
        with self._told():
            self._client = _client(self.address, self._headers)

    def find(self, name: str) -> Job | None:
        """The job of a name, if there is one."""
        return next((job for job in self.all() if job.name == name), None)

    def all(self) -> list[Job]:
        """All jobs, the oldest first."""
        with self._told():
            details = self._client.list_jobs()
        return [_job(d) for d in sorted(details, key=lambda d: d.start_time or 0) if d.submission_id]

    def submit(
        self, name: str, entrypoint: str, folder: Path, *, metadata: dict[str, str], env: dict[str, str], slot: str
    ) -> bool:
        """Submits a job, once: a name that is taken is left as it is.

        Args:
            name: Its submission id.
            entrypoint: What a shell on the cluster's head runs in the folder.
            folder: Uploaded.
            metadata: Kept with the job.
            env: Environment variables of the job and its workers; readable by everybody who may use the cluster.
            slot: A resource that the job holds one of, where the cluster offers it; jobs wait for it in order.

        Returns:
            Whether it was submitted; False if the name is taken.
        """
        environment = {"working_dir": str(folder), "env_vars": env, "excludes": NOT_UPLOADED}
        resources = {slot: 1.0} if self.offered(slot) else None
        with self._told():
            try:
                self._client.submit_job(
                    entrypoint=entrypoint,
                    submission_id=name,
                    runtime_env=environment,
                    metadata=metadata,
                    entrypoint_resources=resources,
                )
            except RuntimeError as error:
                if "already exists" in str(error):
                    return False
                raise
        return True

    def offered(self, resource: str) -> int:
        """How many of a resource the running nodes have together."""
        with self._told():
            url = f"{self.address}/api/v0/nodes?detail=1"
            answer = requests.get(url, headers=self._headers, timeout=STATE_TIMEOUT_S)
            answer.raise_for_status()
            nodes = answer.json()["data"]["result"]["result"]
        return int(sum(node["resources_total"].get(resource, 0) for node in nodes if node["state"] == "ALIVE"))

    def log(self, name: str) -> str:
        """What a job has printed, in earlier submissions of its name too."""
        with self._told():
            return str(self._client.get_job_logs(name))

    def follow(self, name: str) -> Generator[str]:
        """The same, piece by piece until the job ends."""
        with self._told():
            yield from iterate(cast("AsyncGenerator[str]", self._client.tail_job_logs(name)))

    def stop(self, name: str) -> None:
        """Sends a job's processes its RAY_JOB_STOP_SIGNAL, and SIGKILL after its RAY_JOB_STOP_WAIT_TIME_S."""
        with self._told():
            self._client.stop_job(name)

    def kill(self, name: str) -> None:
        """Ends a job at once, or takes it off the queue; by another job, since the API has no call for it."""
        with self._told():
            self._client.submit_job(
                entrypoint=f"{KILL} {shlex.quote(name)}",
                submission_id=f"bimt-kill-{uuid.uuid4().hex[:8]}",
                metadata={"bimt.kills": name},
            )

    def forget(self, name: str) -> None:
        """Deletes the record of a job that is over, if it is still there; another client may do the same."""
        with self._told():
            try:
                self._client.delete_job(name)
            except RuntimeError:
                now = self.find(name)
                if now is not None and now.over:
                    raise

    def _is_open(self) -> bool:
        try:
            answer = requests.get(f"{self.address}/api/version", timeout=ANSWER_TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            raise ClusterError(f"no cluster answers at {self.address}: {_reason(error)}") from error
        if answer.status_code in (401, 403):
            return False
        if answer.status_code == 200 and '"ray_version"' in answer.text:
            return True
        raise ClusterError(f"what answers at {self.address} is no Ray dashboard (status {answer.status_code})")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what Ray's client raises into a line."""
        from aiohttp import ClientError
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise BadInputError(f"the cluster at {self.address} refuses the token of {self._token_source}") from error
        except (requests.RequestException, ClientError, RuntimeError, OSError) as error:
            raise ClusterError(f"the cluster at {self.address} did not do it: {_reason(error)}") from error


def kill(name: str) -> None:
    """Ends the process that supervises a job, on the cluster itself; the job's processes end with it.

    Args:
        name: The job's submission id.
    """
    import ray
    from ray.dashboard.modules.job.common import JOB_ACTOR_NAME_TEMPLATE, SUPERVISOR_ACTOR_RAY_NAMESPACE

    ray.init(logging_level=logging.CRITICAL, log_to_driver=False)
    supervisor = JOB_ACTOR_NAME_TEMPLATE.format(job_id=name)
    ray.kill(ray.get_actor(supervisor, namespace=SUPERVISOR_ACTOR_RAY_NAMESPACE))


def _checked(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise BadInputError(
            f"address must look like http://127.0.0.1:8265, got {parts._replace(netloc='...').geturl()}"
        )
    for name in OTHER_ADDRESSES:
        if os.environ.get(name):
            raise BadInputError(f"{name} is set, and Ray would take it instead of the address {address}; unset it")
    return address.rstrip("/")


def _token() -> tuple[str, str]:
    """Ray's token and where it is from, in Ray's own order."""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token, "RAY_AUTH_TOKEN"
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    try:
        return path.read_text().strip(), str(path)
    except OSError:
        return "", ""


def _client(address: str, headers: dict[str, str]) -> "JobSubmissionClient":
    from ray.job_submission import JobSubmissionClient

    for talkative in TALKATIVE:
        logging.getLogger(talkative).setLevel(logging.WARNING)
    return JobSubmissionClient(address, headers=headers)


def _job(details: "JobDetails") -> Job:
    def when(stamp: int | None) -> datetime | None:
        return datetime.fromtimestamp(stamp // 1000) if stamp else None

    return Job(
        name=details.submission_id or "",
        status=details.status.value,
        submitted=when(details.start_time) or datetime.fromtimestamp(0),
        ended=when(details.end_time),
        placed=details.driver_node_id is not None,
        killed=details.error_type == "JOB_SUPERVISOR_ACTOR_DIED",
        exit_code=details.driver_exit_code,
        message=details.message or "",
        metadata=details.metadata or {},
    )


def _reason(error: BaseException) -> str:
    """What is at the bottom of an error, in one line; some hold a whole trace, or the whole stack of a connection."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if known := re.search(r"\[Errno -?\d+\] ([^'\"()\[\]]+)", str(error)):
        return known[1].strip()
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else type(error).__name__

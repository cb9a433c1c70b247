"""A cluster of separate machines, and a client that reaches it through tunnels, as through SSH."""

import json
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.processes import wait_for

from .hosts import Host, can_connect, create_hosts, find_obstacle, list_processes, open_tunnels
from .servers import S3, Env, Head, find_secrets, read_files

DASHBOARD, GCS = 8265, 6379
ADDRESS = f"http://127.0.0.1:{DASHBOARD}"
HEAD_VARIABLES = ("BIMT_STORE", "BIMT_CHECKPOINTS", "PGPASSFILE")
PULL = """
import json, os
from sweeps.tracking.reading import create_client
from sweeps.service.service import SweepService

service = SweepService()
printed = "".join(service.follow("apart"))
sweep = service.open("apart")
best = int(service.best("apart").index[0])
scores = [sweep.network(best, replicate).score() for replicate in range(2)]
mlflow = create_client(os.environ["MLFLOW_TRACKING_URI"])
runs = [run.data.tags for run in mlflow.search_runs([mlflow.get_experiment_by_name("apart").experiment_id])]
hosts = {
    "driver": sorted({tags["bimt.driver_host"] for tags in runs}),
    "cohort": sorted({tags["bimt.host"] for tags in runs if tags["bimt.role"] == "search"}),
}
print(json.dumps([service.status("apart")["state"], printed, sweep.trials()["test_score"].loc[best], scores, hosts]))
"""


@dataclass(frozen=True)
class Machines:
    """A running cluster, a client, and a stranger.

    Args:
        head: Runs drivers; its services listen on its 127.0.0.1.
        workers: Train cohorts.
        client: Has the token, and the passwords of the studies and of MLflow.
        stranger: Reaches the same port without token and passwords.
        token: Ray's token.
    """

    head: Host
    workers: tuple[Host, Host]
    client: Host
    stranger: Host
    token: str


@pytest.fixture(scope="module")
def machines(services: Head, s3: S3) -> Iterator[Machines]:
    """Starts Ray as deploy/local.yaml does: only the head's Ray inherits the environment of drivers."""
    if reason := find_obstacle():
        pytest.skip(reason)
    with create_hosts("head", "worker1", "worker2", "client", "stranger") as (head, *workers, client, stranger):
        ports = (services.postgres_port, services.mlflow_port)
        ends = [(head, port, None, port) for port in ports]
        ends += [(host, s3.port, None, s3.port) for host in (head, *workers)]
        ends += [(client, port, head, port) for port in (DASHBOARD, *ports)]
        with open_tunnels(*ends, (stranger, DASHBOARD, head, DASHBOARD)):
            machines = Machines(head, (workers[0], workers[1]), client, stranger, secrets.token_hex(32))
            for host in (head, *workers, client):
                _write(host.home / ".ray" / "auth_token", machines.token)
            for host in (head, client):
                _write(host.home / ".pgpass", Path(services.env["PGPASSFILE"]).read_text())
            _start_ray(machines, services, s3)
            yield machines


def _write(path: Path, text: str) -> None:
    """Writes a file that only its user can read."""
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def _start_ray(machines: Machines, services: Head, s3: S3) -> None:
    env = s3.env | {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    own = {"PGPASSFILE": "/tmp/home/.pgpass", "BIMT_STORE": "/tmp/home/bimt-store"}
    as_head = ("--head", f"--port={GCS}", "--dashboard-host=127.0.0.1", "--num-cpus=0", '--resources={"bimt_driver":1}')
    _wait_for_exit(_start_node(machines.head, *as_head, env=env | services.env | own))
    address = f"--address={machines.head.address}:{GCS}"
    started = [_start_node(host, address, "--num-cpus=1", env=env) for host in machines.workers]
    for process in started:
        _wait_for_exit(process)
    wait_for(lambda: can_connect(machines.head, "127.0.0.1", DASHBOARD), "the dashboard")


def _start_node(host: Host, *options: str, env: Env) -> "subprocess.Popen[str]":
    words = ("ray", "start", f"--node-ip-address={host.address}", f"--object-store-memory={200 * 2**20}", *options)
    with (host.tmp / "ray-start.log").open("w") as log:
        return host.start(*words, env=env, stdout=log, stderr=log)


def _wait_for_exit(process: "subprocess.Popen[str]") -> None:
    assert process.wait(timeout=180) == 0, process.args


@dataclass(frozen=True)
class Pulled:
    """Results of a client that launched and pulled a sweep.

    Args:
        output: Output of the launch.
        state: Final state of the sweep.
        log: Output of its driver.
        logged: Score of the best trial in the study.
        scores: Scores of its networks, measured by the client.
        hosts: Hosts of drivers and cohorts, by role.
        environments: Environments of the workers' processes while a cohort trained.
    """

    output: str
    state: str
    log: str
    logged: float
    scores: list[float]
    hosts: dict[str, list[str]]
    environments: dict[str, bytes]


@pytest.fixture(scope="module")
def pulled(machines: Machines, services: Head, small: Callable[..., dict[str, Any]]) -> Pulled:
    """A sweep launched, watched and pulled by the client."""
    client = machines.client
    (client.home / "sweep.yaml").write_text(yaml.safe_dump(small(name="apart", trials=2, cohort_size=1)))
    env = {name: value for name, value in services.env.items() if name not in HEAD_VARIABLES}
    env |= {"BIMT_ADDRESS": ADDRESS}
    launched = client.run("python", "-m", "sweeps.cli", "launch", "sweep.yaml", env=env)
    assert launched.returncode == 0, launched.stderr
    wait_for(lambda: any(_is_training(pid) for host in machines.workers for pid in list_processes(host)), "a cohort")
    environments = {str(pid): _read_proc(pid, "environ") for host in machines.workers for pid in list_processes(host)}
    pull = client.run("python", "-c", PULL, env=env)
    assert pull.returncode == 0, pull.stderr
    return Pulled(launched.stdout, *json.loads(pull.stdout.splitlines()[-1]), environments)


def _is_training(pid: int) -> bool:
    return _read_proc(pid, "cmdline").startswith(b"ray::CohortTrainable")


def _read_proc(pid: int, what: str) -> bytes:
    """Returns what Linux knows of a process; nothing if it has ended."""
    with suppress(OSError):
        return Path("/proc", str(pid), what).read_bytes()
    return b""


def test_a_client_launches_watches_and_pulls(pulled: Pulled) -> None:
    assert "Sweep apart is running on the cluster" in pulled.output
    assert "2 of 2 trials complete" in pulled.log
    assert pulled.state == "complete"
    assert sum(pulled.scores) / 2 == pytest.approx(pulled.logged, abs=1e-12)


def test_the_driver_runs_on_the_head_and_cohorts_on_the_workers(pulled: Pulled) -> None:
    """A worker that is ready first may train both cohorts."""
    assert pulled.hosts["driver"] == ["head"]
    assert pulled.hosts["cohort"]
    assert set(pulled.hosts["cohort"]) <= {"worker1", "worker2"}


@pytest.mark.usefixtures("pulled")
def test_a_stranger_without_the_token_is_refused(machines: Machines) -> None:
    words = ("python", "-m", "sweeps.cli", "ls", "--address", ADDRESS)
    without = machines.stranger.run(*words)
    assert (without.returncode, without.stdout) == (2, "")
    assert without.stderr.startswith(f"bimt: the cluster at {ADDRESS} requires a token: ")
    wrong = machines.stranger.run(*words, env={"RAY_AUTH_TOKEN": "a wrong token"})
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == f"bimt: the cluster at {ADDRESS} refuses the token of RAY_AUTH_TOKEN\n"


def test_the_services_of_the_head_are_reachable_only_on_the_head(machines: Machines, services: Head) -> None:
    for port in (DASHBOARD, services.postgres_port, services.mlflow_port):
        assert can_connect(machines.head, "127.0.0.1", port)
        assert not can_connect(machines.workers[0], machines.head.address, port)
    assert can_connect(machines.workers[0], machines.head.address, GCS), "the network works"


def test_workers_get_none_of_the_heads_secrets(machines: Machines, services: Head, s3: S3, pulled: Pulled) -> None:
    """Neither in a file, including Ray's, nor in the environment of a process."""
    assert find_secrets(pulled.environments, services.secrets) == []
    assert find_secrets(pulled.environments, [s3.secret]), "they have the credentials for S3"
    for host in machines.workers:
        found = read_files(host.tmp)
        assert find_secrets(found, services.secrets) == []
        assert [Path(name).name for name in find_secrets(found, [machines.token])] == ["auth_token"]


@pytest.mark.usefixtures("pulled")
def test_the_head_writes_no_secret_to_a_file(machines: Machines, services: Head, s3: S3) -> None:
    found = read_files(machines.head.tmp)
    assert any(name.endswith("job-driver-apart.log") for name in found)
    held = find_secrets(found, [*services.secrets, s3.secret, machines.token])
    assert sorted(Path(name).name for name in held) == [".pgpass", "auth_token"]

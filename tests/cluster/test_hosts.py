"""A cluster of machines of their own, and a client that reaches it through tunnels, as through SSH."""

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

from .hosts import Host, hosts, processes, reaches, tunnels, why_not
from .parts import S3, Env, Head, files_in, secrets_in, until

DASHBOARD, GCS = 8265, 6379
ADDRESS = f"http://127.0.0.1:{DASHBOARD}"
OF_THE_HEAD = ("BIMT_STORE", "BIMT_CHECKPOINTS", "PGPASSFILE")
PULL = """
import json, os
from sweeps.tracking.reading import client
from sweeps.service.service import SweepService

service = SweepService()
printed = "".join(service.follow("apart"))
sweep = service.open("apart")
best = int(service.best("apart").index[0])
scores = [sweep.network(best, replicate).score() for replicate in range(2)]
mlflow = client(os.environ["MLFLOW_TRACKING_URI"])
runs = [run.data.tags for run in mlflow.search_runs([mlflow.get_experiment_by_name("apart").experiment_id])]
hosts = {
    "driver": sorted({tags["bimt.driver_host"] for tags in runs}),
    "cohort": sorted({tags["bimt.host"] for tags in runs if tags["bimt.role"] == "trial"}),
}
print(json.dumps([service.status("apart")["state"], printed, sweep.trials()["score"].loc[best], scores, hosts]))
"""


@dataclass(frozen=True)
class Machines:
    """A running cluster and who uses it.

    Args:
        head: Drivers run here; its services listen on its 127.0.0.1.
        workers: Cohorts train here.
        client: Has the token, and the passwords of study and MLflow.
        stranger: Reaches the same port, and has none.
        token: Ray's.
    """

    head: Host
    workers: tuple[Host, Host]
    client: Host
    stranger: Host
    token: str


@pytest.fixture(scope="module")
def machines(services: Head, s3: S3) -> Iterator[Machines]:
    """Started as deploy/local.yaml does it: the head's Ray inherits what drivers need, the workers' does not."""
    if reason := why_not():
        pytest.skip(reason)
    with hosts("head", "worker1", "worker2", "client", "stranger") as (head, *workers, client, stranger):
        ports = (services.postgres_port, services.mlflow_port)
        ends = [(head, port, None, port) for port in ports]
        ends += [(host, s3.port, None, s3.port) for host in (head, *workers)]
        ends += [(client, port, head, port) for port in (DASHBOARD, *ports)]
        with tunnels(*ends, (stranger, DASHBOARD, head, DASHBOARD)):
            made = Machines(head, (workers[0], workers[1]), client, stranger, secrets.token_hex(32))
            for host in (head, *workers, client):
                _write(host.home / ".ray" / "auth_token", made.token)
            for host in (head, client):
                _write(host.home / ".pgpass", Path(services.env["PGPASSFILE"]).read_text())
            _start_ray(made, services, s3)
            yield made


def _write(path: Path, text: str) -> None:
    """Writes a file that only its user reads."""
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def _start_ray(machines: Machines, services: Head, s3: S3) -> None:
    env = s3.env | {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    own = {"PGPASSFILE": "/tmp/home/.pgpass", "BIMT_STORE": "/tmp/home/bimt-store"}
    as_head = ("--head", f"--port={GCS}", "--dashboard-host=127.0.0.1", "--num-cpus=0", '--resources={"bimt_driver":1}')
    _ended(_ray(machines.head, *as_head, env=env | services.env | own))
    address = f"--address={machines.head.address}:{GCS}"
    started = [_ray(host, address, "--num-cpus=1", env=env) for host in machines.workers]
    for process in started:
        _ended(process)
    until(lambda: reaches(machines.head, "127.0.0.1", DASHBOARD), "the dashboard")


def _ray(host: Host, *options: str, env: Env) -> "subprocess.Popen[str]":
    words = ("ray", "start", f"--node-ip-address={host.address}", f"--object-store-memory={200 * 2**20}", *options)
    with (host.tmp / "ray-start.log").open("w") as log:
        return host.start(*words, env=env, stdout=log, stderr=log)


def _ended(process: "subprocess.Popen[str]") -> None:
    assert process.wait(timeout=180) == 0, process.args


@dataclass(frozen=True)
class Pulled:
    """What a client launched and pulled.

    Args:
        launched: What the launch printed.
        state: The sweep's state at the end.
        log: What its driver printed.
        logged: The best trial's score.
        scores: The same of the networks that were pulled.
        hosts: Where drivers and cohorts ran, by the runs' role.
        environments: Those of the workers' processes while a cohort trained.
    """

    launched: str
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
    env = {name: value for name, value in services.env.items() if name not in OF_THE_HEAD}
    env |= {"BIMT_ADDRESS": ADDRESS}
    launched = client.run("python", "-m", "sweeps.cli.main", "launch", "sweep.yaml", env=env)
    assert launched.returncode == 0, launched.stderr
    until(lambda: any(_trains(pid) for host in machines.workers for pid in processes(host)), "a cohort")
    environments = {str(pid): _proc(pid, "environ") for host in machines.workers for pid in processes(host)}
    told = client.run("python", "-c", PULL, env=env)
    assert told.returncode == 0, told.stderr
    return Pulled(launched.stdout, *json.loads(told.stdout.splitlines()[-1]), environments)


def _trains(pid: int) -> bool:
    return _proc(pid, "cmdline").startswith(b"ray::CohortTrainable")


def _proc(pid: int, what: str) -> bytes:
    """What Linux tells of a process; nothing if it has just ended."""
    with suppress(OSError):
        return Path("/proc", str(pid), what).read_bytes()
    return b""


def test_a_client_launches_watches_and_pulls(pulled: Pulled) -> None:
    assert "Sweep apart is running on the cluster" in pulled.launched
    assert "2 of 2 trials complete" in pulled.log
    assert pulled.state == "complete"
    assert sum(pulled.scores) / 2 == pytest.approx(pulled.logged, abs=1e-12)


def test_the_driver_runs_on_the_head_and_cohorts_on_the_workers(pulled: Pulled) -> None:
    assert pulled.hosts == {"driver": ["head"], "cohort": ["worker1", "worker2"]}


@pytest.mark.usefixtures("pulled")
def test_whoever_has_no_token_is_refused(machines: Machines) -> None:
    words = ("python", "-m", "sweeps.cli.main", "ls", "--address", ADDRESS)
    without = machines.stranger.run(*words)
    assert (without.returncode, without.stdout) == (2, "")
    assert without.stderr.startswith(f"bimt: the cluster at {ADDRESS} asks for a token: ")
    wrong = machines.stranger.run(*words, env={"RAY_AUTH_TOKEN": "a wrong token"})
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == f"bimt: the cluster at {ADDRESS} refuses the token of RAY_AUTH_TOKEN\n"


def test_the_heads_services_are_reached_from_the_head_alone(machines: Machines, services: Head) -> None:
    for port in (DASHBOARD, services.postgres_port, services.mlflow_port):
        assert reaches(machines.head, "127.0.0.1", port)
        assert not reaches(machines.workers[0], machines.head.address, port)
    assert reaches(machines.workers[0], machines.head.address, GCS), "but the network is there"


def test_workers_get_none_of_the_heads_secrets(machines: Machines, services: Head, s3: S3, pulled: Pulled) -> None:
    """Neither in a file, Ray's own among them, nor in the environment of a process."""
    assert secrets_in(pulled.environments, services.secrets) == []
    assert secrets_in(pulled.environments, [s3.secret]), "what their machine may do with S3, they have"
    for host in machines.workers:
        found = files_in(host.tmp)
        assert secrets_in(found, services.secrets) == []
        assert [Path(name).name for name in secrets_in(found, [machines.token])] == ["auth_token"]


@pytest.mark.usefixtures("pulled")
def test_the_head_writes_no_secret_down(machines: Machines, services: Head, s3: S3) -> None:
    found = files_in(machines.head.tmp)
    assert any(name.endswith("job-driver-apart.log") for name in found)
    held = secrets_in(found, [*services.secrets, s3.secret, machines.token])
    assert sorted(Path(name).name for name in held) == [".pgpass", "auth_token"]

"""The commands of cluster.yaml that start Ray, run here: a head and a worker on one machine."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests
from support.processes import find_free_port, wait_for

PROGRAM = """
import os, ray
ray.init(logging_level="error")
visible = lambda: sorted(name for name in os.environ if name.startswith(("BIMT_", "MLFLOW_", "PG")))
cohort = ray.remote(num_cpus=1)(lambda: (visible(), os.environ["RAY_AUTH_MODE"]))
print("SAW", [visible(), ray.get(cohort.remote())], {k: ray.cluster_resources().get(k) for k in ("CPU", "bimt_driver")})
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster of one head and one worker."""

    home: Path
    dashboard_port: int
    token: str

    @property
    def jobs(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}/api/jobs/"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def processes(self) -> list[psutil.Process]:
        """Lists the processes with this cluster's home."""
        processes = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HOME") == str(self.home):
                    processes.append(process)
            except psutil.Error:  # ended, or of another user
                continue
        return processes

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self.home.glob("*.log"))


def start(home: Path, command: str, resources: dict[str, int], log: str, **environment: str) -> None:
    """Runs a start command as the launcher does: with its variables, in a shell."""
    environment |= {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"RAY_OVERRIDE_RESOURCES": json.dumps(resources), "RAY_TMPDIR": str(home)}
    with (home / f"{log}.log").open("w") as file:
        done = subprocess.run(["bash", "-c", command], env=environment, cwd=home, stdout=file, stderr=file, check=False)
    assert done.returncode == 0, (home / f"{log}.log").read_text()


@pytest.fixture(scope="module")
def cluster(load):
    (config,) = load("cluster.yaml")
    home = Path(tempfile.mkdtemp(prefix="ray"))  # short: paths of sockets are limited
    cluster = Cluster(home, find_free_port(), "0123456789abcdef" * 4)
    for path, content in ((".ray/auth_token", cluster.token), (".bimt/service.env", SERVICE_ENV)):
        (home / path).parent.mkdir()
        (home / path).write_text(content)
        (home / path).chmod(0o600)
    ports = {"--port=6379": f"--port={(gcs := find_free_port())}", ":6379": f":{gcs}"}
    ports |= {"--dashboard-port=8265": f"--dashboard-port={cluster.dashboard_port}"}

    def find_ports() -> str:  # another cluster may use the defaults
        return f"--dashboard-agent-listen-port={find_free_port()} --ray-client-server-port={find_free_port()}"

    ports |= {"--autoscaling-config=~/ray_bootstrap_config.yaml": find_ports()}

    def command(kind: str) -> str:
        (text,) = [command for command in config[kind] if "ray start" in command]
        for default, free in ports.items():
            text = text.replace(default, free)
        return text

    try:
        start(home, command("head_start_ray_commands"), {"CPU": 0, "bimt_driver": 8}, "head")
        address = re.search(r"--address='([\d.]+):", (home / "head.log").read_text())[1]
        own = f"{command('worker_start_ray_commands').strip()} --dashboard-agent-listen-port={find_free_port()}"
        start(home, own, {"CPU": 1}, "worker", RAY_HEAD_IP=address)
        yield cluster
    finally:
        for process in (processes := cluster.processes()):
            process.kill()
        psutil.wait_procs(processes, timeout=30)
        shutil.rmtree(home, ignore_errors=True)


SERVICE_ENV = """BIMT_STORAGE=postgresql://bimt@127.0.0.1:5432/bimt
MLFLOW_TRACKING_PASSWORD=not-for-workers
PGPASSFILE=/home/of/head/.bimt/pgpass
"""


def test_the_dashboard_and_the_jobs_api_listen_on_loopback(cluster):
    listening = {
        connection.laddr
        for process in cluster.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.ip for address in listening if address.port == cluster.dashboard_port} == {"127.0.0.1"}


def test_requests_without_the_token_are_refused(cluster):
    guessed = {"Authorization": "Bearer " + "f" * 64}
    assert requests.get(cluster.jobs, timeout=20).status_code == 401
    assert requests.post(cluster.jobs, json={"entrypoint": "true"}, timeout=20).status_code == 401
    assert requests.get(cluster.jobs, headers=guessed, timeout=20).status_code == 403
    assert requests.get(cluster.jobs, headers=cluster.headers, timeout=20).json() == []


def test_drivers_see_the_passwords_and_cohorts_do_not(cluster):
    job = {
        "submission_id": "who",
        "entrypoint": f"python -c '{PROGRAM}'".replace('"', r"\"").replace("'", '"'),
    }
    job |= {"entrypoint_resources": {"bimt_driver": 1}}
    requests.post(cluster.jobs, json=job, headers=cluster.headers, timeout=60).raise_for_status()
    wait_for(lambda: get(cluster, "who")["status"] in ("SUCCEEDED", "FAILED"), "the job")
    state = get(cluster, "who")
    logs = get(cluster, "who/logs")["logs"]
    assert state["status"] == "SUCCEEDED", logs
    (line,) = [line for line in logs.splitlines() if line.startswith("SAW")]
    names = ["BIMT_STORAGE", "MLFLOW_TRACKING_PASSWORD", "PGPASSFILE"]
    assert line == f"SAW {[names, ([], 'token')]} {{'CPU': 1.0, 'bimt_driver': 8.0}}"
    assert "not-for-workers" not in logs + cluster.logs()


def get(cluster: Cluster, path: str) -> dict[str, str]:
    answer = requests.get(f"{cluster.jobs}{path}", headers=cluster.headers, timeout=60)
    answer.raise_for_status()
    return answer.json()

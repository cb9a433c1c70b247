"""The scripts that set up a head machine, run here with a real PostgreSQL and a real MLflow."""

import base64
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
from support.postgres import start_postgres
from support.processes import find_free_port, kill_family, wait_for

DEPLOY = Path(__file__).parents[3] / "deploy"
BIN = Path(sys.executable).parent
PROGRAMS = ("bash", "cat", "chmod", "cmp", "date", "env", "mkdir", "mktemp", "mv", "od", "rm", "tr", "pg_dump", "psql")
PROGRAMS += ("mlflow", "python")
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
    """The home of a head's user, and what its scripts need."""

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
        """The environment of a service; its programs log their arguments."""
        return {"HOME": str(self.home), "PATH": str(self.programs), "LANG": "C.UTF-8"}

    def read_service_env(self) -> dict[str, str]:
        """Returns the environment of a driver, as `set -a; . service.env` sets it."""
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
        """Log of all commands that the scripts ran, with their arguments."""
        return (self.programs / "calls").read_text()

    def run(self, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(DEPLOY / script), *map(str, arguments)]
        return subprocess.run(
            ["bash", *command], env=self.environment, cwd=self.home, capture_output=True, text=True, check=False
        )

    def create_secrets(self) -> subprocess.CompletedProcess[str]:
        return self.run("secrets.sh", self.root, self.folder, self.postgres_port, self.mlflow_port)

    def create_databases(self) -> subprocess.CompletedProcess[str]:
        as_superuser = ("env", f"PGHOST={self.sockets}", "PGUSER=postgres", "psql")
        return self.run("databases.sh", self.folder, self.postgres_port, *as_superuser)

    def read_secrets(self) -> list[str]:
        return [path.read_text() for path in (self.folder / "secrets").iterdir()]

    def read_files(self) -> dict[str, tuple[bytes, int]]:
        """Returns the content and the time of change of every file."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.fixture(scope="module")
def postgres():
    """A server with passwords on 127.0.0.1, as Debian's: its programs, folder of sockets, and port."""
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    with start_postgres(folder / "data") as server:
        yield server
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def head(postgres, tmp_path_factory):
    """A head machine before the first script, with only the programs that the scripts need."""
    bin_path, sockets, port = postgres
    home = tmp_path_factory.mktemp("home of a user")
    programs = tmp_path_factory.mktemp("programs")
    for name in PROGRAMS:
        real = shutil.which(name, path=os.pathsep.join([str(bin_path), str(BIN), os.environ["PATH"]]))
        assert real, name
        log = f"printf '%s\\n' \"{name} $*\" >> {programs}/calls"
        (programs / name).write_text(f'#!{shutil.which("bash")}\n{log}\nexec {real} "$@"\n')
        (programs / name).chmod(0o755)
    return Head(home, programs, str(sockets), port, find_free_port())


@pytest.fixture(scope="module")
def output(head):
    """Output of the first run of the scripts."""
    first, second = head.create_secrets(), head.create_databases()
    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    return first.stdout + first.stderr + second.stdout + second.stderr


@pytest.fixture(scope="module")
def mlflow(head, output):
    """Address of the running server, and its process."""
    command = ["bash", str(DEPLOY / "mlflow.sh"), str(head.folder)]
    address = f"http://127.0.0.1:{head.mlflow_port}"
    with (head.home / "mlflow.log").open("w") as log:
        server = psutil.Popen(command, env=head.environment, cwd=head.home, stdout=log, stderr=log)
    try:
        wait_for(lambda: get_status(f"{address}/health") == 200 or server.poll() is not None, "MLflow")
        assert server.poll() is None, (head.home / "mlflow.log").read_text()
        yield address, server
    finally:
        kill_family(server)


def get_status(url: str, **headers: str) -> int:
    """Returns the HTTP status of a request; 0 without an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def encode_login(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_files_are_readable_by_their_user_only(head, output):
    paths = [head.folder, *head.folder.rglob("*")]
    assert {path.name for path in paths} >= {"service.env", "pgpass", "mlflow.env", "mlflow.ini", "credentials"}
    modes = {str(path): stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert modes == {str(path): 0o700 if path.is_dir() else 0o600 for path in paths}


def test_secrets_are_neither_printed_nor_on_a_command_line(head, output, mlflow):
    secrets = head.read_secrets()
    assert len(set(secrets)) == 4
    assert all(len(secret) == 64 for secret in secrets)
    assert "psql" in head.calls and "mlflow server" in head.calls
    text = output + head.calls + (head.home / "mlflow.log").read_text()
    assert not [secret for secret in secrets if secret in text]


def test_a_second_run_changes_nothing(head, output):
    before = head.read_files()
    with psycopg.connect(f"postgresql://postgres@/postgres?host={head.sockets}&port={head.postgres_port}") as server:
        query = "SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin ORDER BY 1"
        roles = server.execute(query).fetchall()
        assert head.create_secrets().returncode == head.create_databases().returncode == 0
        assert server.execute(query).fetchall() == roles
    assert head.read_files() == before


def test_a_driver_opens_the_study_storage_with_service_env(head, output, tmp_path):
    environment = head.read_service_env()
    assert environment["BIMT_CHECKPOINTS"] == f"{head.root}/checkpoints"
    assert not [secret for secret in head.read_secrets() if secret in environment["BIMT_STORAGE"]]
    listed = subprocess.run(
        [sys.executable, "-m", "sweeps.cli", "ls", "--json"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (listed.returncode, listed.stdout.strip()) == (0, "[]"), listed.stderr


@pytest.mark.parametrize(
    ("role", "pgpass", "own", "others"),
    [("bimt", "pgpass", ["bimt"], ["mlflow"]), ("mlflow", "mlflow.pgpass", ["mlflow", "mlflow_accounts"], ["bimt"])],
)
def test_a_role_opens_only_its_own_databases(head, output, role, pgpass, own, others):
    address = {"host": "127.0.0.1", "port": head.postgres_port, "user": role}
    for name in own:
        psycopg.connect(**address, dbname=name, passfile=str(head.folder / pgpass)).close()
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(**address, dbname=name, password="guessed")
    for name in others:
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(**address, dbname=name, passfile=str(head.folder / pgpass))


def test_a_renewed_password_replaces_the_old_one(head, output):
    old = (head.folder / "secrets" / "study").read_text()
    (head.folder / "secrets" / "study").unlink()
    assert head.create_secrets().returncode == head.create_databases().returncode == 0
    new = (head.folder / "secrets" / "study").read_text()
    address = {"host": "127.0.0.1", "port": head.postgres_port, "user": "bimt", "dbname": "bimt"}
    assert new != old
    psycopg.connect(**address, passfile=str(head.folder / "client" / "pgpass")).close()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(**address, password=old)


@pytest.mark.parametrize("root", ["", "bucket", "s3://", "s3://CHANGE-bucket/bimt", "relative/folder"])
def test_secrets_refuses_a_root_that_is_not_a_location(head, root, tmp_path):
    refused = head.run("secrets.sh", root, tmp_path / "bimt")
    assert refused.returncode != 0
    assert "ROOT" in refused.stderr
    assert not (tmp_path / "bimt").exists()


def test_databases_refuses_a_server_with_open_addresses(head, output, tmp_path):
    open_server = tmp_path / "psql"
    open_server.write_text("#!/bin/bash\ncat > /dev/null; echo '*'\n")
    open_server.chmod(0o755)
    refused = head.run("databases.sh", head.folder, head.postgres_port, open_server)
    assert refused.returncode == 1
    assert "listen_addresses is '*'" in refused.stderr


def test_mlflow_requires_the_password_and_the_tunnels_address(head, mlflow):
    address, _ = mlflow
    experiments = f"{address}/api/2.0/mlflow/experiments/search?max_results=1"
    environment = head.read_service_env()
    right = encode_login(environment["MLFLOW_TRACKING_USERNAME"], environment["MLFLOW_TRACKING_PASSWORD"])
    assert environment["MLFLOW_TRACKING_URI"] == address
    assert get_status(experiments) == 401
    assert get_status(experiments, Authorization=encode_login("bimt", "guessed")) == 401
    assert get_status(experiments, Authorization=right) == 200
    assert get_status(experiments, Authorization=right, Host="127.0.0.1:15000") == 200
    assert get_status(experiments, Authorization=right, Host="rebound.example:5000") == 403


def test_mlflow_listens_on_this_machine_only(mlflow):
    _, server = mlflow
    family = [server, *server.children(recursive=True)]
    listening = {c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_artifacts_pass_through_mlflow_to_the_root(head, mlflow, tmp_path):
    """Only the server needs access to the bucket."""
    done = subprocess.run(
        [sys.executable, "-c", USE_MLFLOW],
        env=head.read_service_env(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    uri, content = done.stdout.splitlines()[-2:]
    assert uri.startswith("mlflow-artifacts:")
    assert content == "kept"
    assert [path.read_text() for path in (head.root / "artifacts").rglob("note.txt")] == ["kept"]


def test_a_backup_restores_a_lost_database(head, output, postgres):
    whole = f"postgresql://postgres@/bimt?host={head.sockets}&port={head.postgres_port}"
    with psycopg.connect(whole) as database:
        database.execute("SET ROLE bimt")
        database.execute("CREATE TABLE kept AS SELECT 42 AS trial")
    backup = head.run("backup.sh", head.root, head.folder, head.postgres_port)
    assert backup.returncode == 0, backup.stderr
    dumps = Path(backup.stdout.strip())
    assert sorted(path.name for path in dumps.iterdir()) == ["bimt.dump", "mlflow.dump", "mlflow_accounts.dump"]
    with psycopg.connect(whole) as database:
        database.execute("DROP TABLE kept")
    restore = [postgres[0] / "pg_restore", "--clean", "--if-exists", "--dbname", whole, dumps / "bimt.dump"]
    subprocess.run(restore, check=True)
    with psycopg.connect(whole) as database:
        assert database.execute("SELECT trial FROM kept").fetchall() == [(42,)]
        database.execute("DROP TABLE kept")


def test_mlflows_password_is_renewed(head, mlflow):
    """MLflow ignores a new password in its files, so the script sends it. The last test: it changes the server."""
    experiments = f"{mlflow[0]}/api/2.0/mlflow/experiments/search?max_results=1"
    old = (head.folder / "secrets" / "mlflow_login").read_text()
    renewed = head.run("mlflow_password.sh", head.folder)
    assert renewed.returncode == 0, renewed.stderr
    assert head.create_secrets().returncode == 0
    new = head.read_service_env()["MLFLOW_TRACKING_PASSWORD"]
    assert new != old
    assert new not in renewed.stdout + renewed.stderr + head.calls
    assert get_status(experiments, Authorization=encode_login("bimt", new)) == 200
    old_login = encode_login("bimt", old)
    wait_for(lambda: get_status(experiments, Authorization=old_login) == 401, "the end of the old password")

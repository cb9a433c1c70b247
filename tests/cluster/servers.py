"""Real servers on free ports of 127.0.0.1, ended at the end of the `with` block that started them."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import moto.settings
import psycopg
import requests
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from psycopg.sql import SQL, Identifier
from support.postgres import start_postgres
from support.processes import find_free_port, kill_family, wait_for
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

DEPLOY = Path(__file__).parents[2] / "deploy"
BIN = Path(sys.executable).parent
REGION = "us-east-1"
Env = dict[str, str]


# S3


@dataclass(frozen=True)
class S3:
    """An S3 API that checks signatures and rights.

    Args:
        port: Port on 127.0.0.1.
        secret: Secret access key of a user with all rights on the bucket.
        env: Environment variables for a client, with credentials.
        bucket: The bucket.
        requests: All requests so far, such as "PUT /bimt/key", with their bodies.
    """

    port: int
    secret: str
    env: Env
    bucket: str = "bimt"
    requests: list[tuple[str, bytes]] = field(default_factory=list)

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Returns the content of all objects by key."""
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
def start_s3() -> Iterator[S3]:
    """Starts moto's server. Unsigned requests are refused (moto itself fails), and so are links signed by MLflow."""
    backend = DomainDispatcherApplication(create_backend_app)

    received: list[tuple[str, bytes]] = []

    def require_signature(environ: Any, start_response: Any) -> Any:
        chunked = environ.get("wsgi.input_terminated")
        body = environ["wsgi.input"].read(*([] if chunked else [int(environ.get("CONTENT_LENGTH") or 0)]))
        environ["wsgi.input"] = io.BytesIO(body)
        received.append((f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", body))
        if "HTTP_AUTHORIZATION" in environ:
            return backend(environ, start_response)
        denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        return Response(denied, 403, mimetype="application/xml")(environ, start_response)

    server = make_server("127.0.0.1", 0, require_signature, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="s3", daemon=True)
    thread.start()
    credentials = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    endpoint = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}", "AWS_DEFAULT_REGION": REGION}
    admin = S3(server.port, "any", endpoint | credentials)
    try:
        # The state belongs to the process, in which another server may have run before.
        reset = f"{endpoint['AWS_ENDPOINT_URL']}/moto-api/reset"
        requests.post(reset, headers={"Authorization": "any"}, timeout=10).raise_for_status()
        admin.client("s3").create_bucket(Bucket=admin.bucket)
        iam, rights = admin.client("iam"), {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        iam.create_user(UserName="bimt")
        policy = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
        iam.put_user_policy(UserName="bimt", PolicyName="all", PolicyDocument=policy)
        key = iam.create_access_key(UserName="bimt")["AccessKey"]
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0  # checks signatures and rights from now on
        credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        yield S3(server.port, key["SecretAccessKey"], endpoint | credentials, requests=received)
    finally:
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
        server.shutdown()
        server.server_close()
        thread.join()


# PostgreSQL and MLflow, as on a head


@dataclass(frozen=True)
class Head:
    """PostgreSQL and MLflow, set up by the scripts of deploy/; artifacts pass through MLflow to S3.

    Args:
        folder: Folder that the scripts made.
        postgres_port: Port on 127.0.0.1.
        mlflow_port: Port on 127.0.0.1.
        env: Environment variables for a driver, with credentials.
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
        """Returns all rows of all tables of a database, as text."""
        role, passfile = ("bimt", "pgpass") if database == "bimt" else ("mlflow", "mlflow.pgpass")
        address = {"host": "127.0.0.1", "port": self.postgres_port, "user": role, "dbname": database}
        with psycopg.connect(**address, passfile=str(self.folder / passfile)) as connection:  # type: ignore[arg-type]
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            found = b""
            for (table,) in tables:
                with connection.cursor().copy(SQL("COPY {} TO STDOUT").format(Identifier(table))) as copy:
                    found += b"".join(bytes(chunk) for chunk in copy)
        return found


@contextmanager
def start_head(s3: S3) -> Iterator[Head]:
    """Starts the services of a head."""
    home = Path(tempfile.mkdtemp(prefix="head-"))  # pytest's folders are closed to PostgreSQL's user
    folder, mlflow_port = home / ".bimt", find_free_port()
    with start_postgres(home / "data") as (programs, sockets, port):
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
            wait_for(lambda: _is_healthy(address) or server.poll() is not None, "MLflow")
            assert server.poll() is None, log.read_text()
            yield Head(folder, port, mlflow_port, _read_environment(folder / "service.env", home))
        finally:
            kill_family(server)
    shutil.rmtree(home)


def _read_environment(file: Path, home: Path) -> Env:
    """Returns the variables that a shell file sets."""
    command = ["bash", "-c", f"set -a; . '{file}'; env -0"]
    printed = subprocess.run(command, env={"HOME": str(home)}, capture_output=True, text=True, check=True).stdout
    known = dict(line.split("=", 1) for line in printed.split("\0") if line)
    return {name: value for name, value in known.items() if name.startswith(("BIMT_", "MLFLOW_", "PG"))}


def _is_healthy(address: str) -> bool:
    with suppress(OSError):
        return bool(urllib.request.urlopen(f"{address}/health", timeout=5).status == 200)
    return False


# Secrets


def find_secrets(contents: Mapping[str, bytes], secrets: Iterable[str]) -> list[str]:
    """Returns the names of contents that hold a secret, as it is, quoted for a URL, or encoded for HTTP."""
    needles = [n for secret in secrets for n in (secret, quote(secret, safe=""), _basic(secret))]
    return [name for name, content in contents.items() if any(needle.encode() in content for needle in needles)]


def read_files(folder: Path) -> dict[str, bytes]:
    """Returns the content of all files below a folder by path."""
    contents = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # deleted in the meantime
            if path.is_file() and not path.is_symlink():
                contents[str(path)] = path.read_bytes()
    return contents


def _basic(password: str) -> str:
    return base64.b64encode(f"bimt:{password}".encode()).decode()

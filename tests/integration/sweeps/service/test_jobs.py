"""Authentication, with real HTTP servers that behave as a dashboard does."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sweeps.errors import BadInputError, ClusterError
from sweeps.service import jobs
from sweeps.service.jobs import Jobs

RIGHT, WRONG = "the-right-token-93a1", "a-wrong-token-77b2"
VERSION = json.dumps({"version": "4", "ray_version": "2.60.0"})
Serve = Callable[[int, str], str]


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with one answer; status 0 requires the right token, as Ray's dashboard does."""
    servers = []

    def start(status: int, body: str) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = self.headers.get("Authorization")
                code = status or (401 if token is None else 200 if token == f"Bearer {RIGHT}" else 403)
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_malformed_address_is_refused() -> None:
    for address in (
        "",
        "127.0.0.1:8265",
        "ray://127.0.0.1:10001",
        "http://",
        "file:///tmp",
        "http://me:hidden@127.0.0.1:8265",
    ):
        with pytest.raises(BadInputError, match=r"^address must look like http://127\.0\.0\.1:8265, got ") as caught:
            Jobs(address)
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("name", ["RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"])
def test_an_address_that_ray_would_prefer_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(BadInputError, match=rf"^{name} is set, and Ray would use it instead .* unset it$"):
        Jobs("http://127.0.0.1:2")


def test_a_refused_connection_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=rf"^no cluster answers at {address}: Connection refused$"):
            Jobs(address)


def test_a_missing_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ANSWER_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"^no cluster answers at {address}: no answer in time$"):
            Jobs(address)


def test_a_server_that_is_not_a_dashboard_is_refused(serve: Serve) -> None:
    for status, body in [(404, "nothing here"), (200, "<html>"), (302, ""), (500, VERSION)]:
        message = rf"^the server at http://.* is not a Ray dashboard \(status {status}\)$"
        with pytest.raises(ClusterError, match=message):
            Jobs(serve(status, body))


def test_a_cluster_without_authentication_is_refused_unless_insecure(serve: Serve) -> None:
    address = serve(200, VERSION)
    with pytest.raises(
        BadInputError, match=f"^the cluster at {address} requires no token, so anybody who reaches it can run"
    ):
        Jobs(address)
    assert Jobs(address, insecure=True).address == address


def test_a_missing_token_is_refused(serve: Serve) -> None:
    with pytest.raises(BadInputError, match="requires a token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or write"):
        Jobs(serve(0, VERSION))


def test_a_wrong_token_is_refused_and_not_shown(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    address = serve(0, VERSION)
    monkeypatch.setenv("RAY_AUTH_TOKEN", WRONG)
    with pytest.raises(BadInputError) as caught:
        Jobs(address, insecure=True)
    assert str(caught.value) == f"the cluster at {address} refuses the token of RAY_AUTH_TOKEN"


def test_the_token_is_read_in_rays_order(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    address = serve(0, VERSION)
    default, other = tmp_path / ".ray" / "auth_token", tmp_path / "other"
    default.parent.mkdir()
    default.write_text(f"{RIGHT}\n")
    Jobs(address)
    other.write_text(WRONG)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(other))
    with pytest.raises(BadInputError, match=f"refuses the token of {other}$"):
        Jobs(address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", RIGHT)
    Jobs(f"{address}/")

"""Who may use a cluster: answers of real HTTP servers that behave as a dashboard does."""

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
    """Starts a server that answers everything alike; 0 is one that wants the right token, as Ray's dashboard does."""
    servers = []

    def start(status: int, body: str) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization")
                code = status or (401 if given is None else 200 if given == f"Bearer {RIGHT}" else 403)
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1:8265", "ray://127.0.0.1:10001", "http://", "file:///tmp", "http://me:hidden@127.0.0.1:8265"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadInputError, match=r"^address must look like http://127\.0\.0\.1:8265, got ") as caught:
        Jobs(address)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("name", ["RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"])
def test_an_address_that_ray_would_take_instead_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(BadInputError, match=rf"^{name} is set, and Ray would take it instead .* unset it$"):
        Jobs("http://127.0.0.1:2")


def test_an_address_where_nobody_listens_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=rf"^no cluster answers at {address}: Connection refused$"):
            Jobs(address)


def test_an_address_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ANSWER_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"^no cluster answers at {address}: no answer in time$"):
            Jobs(address)


@pytest.mark.parametrize(("status", "body"), [(404, "nothing here"), (200, "<html>"), (302, ""), (500, VERSION)])
def test_what_is_no_dashboard_is_told(serve: Serve, status: int, body: str) -> None:
    with pytest.raises(ClusterError, match=rf"^what answers at http://.* is no Ray dashboard \(status {status}\)$"):
        Jobs(serve(status, body))


def test_a_cluster_that_is_open_to_all_is_refused_unless_one_insists(serve: Serve) -> None:
    address = serve(200, VERSION)
    with pytest.raises(
        BadInputError, match=f"^the cluster at {address} asks for no token, so whoever reaches it can run"
    ):
        Jobs(address)
    assert Jobs(address, insecure=True).address == address


def test_a_token_is_asked_for(serve: Serve) -> None:
    with pytest.raises(BadInputError, match="asks for a token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or write"):
        Jobs(serve(0, VERSION))


def test_a_wrong_token_is_told_and_not_shown(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    address = serve(0, VERSION)
    monkeypatch.setenv("RAY_AUTH_TOKEN", WRONG)
    with pytest.raises(BadInputError) as caught:
        Jobs(address, insecure=True)
    assert str(caught.value) == f"the cluster at {address} refuses the token of RAY_AUTH_TOKEN"


def test_the_token_is_found_where_ray_looks_for_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
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

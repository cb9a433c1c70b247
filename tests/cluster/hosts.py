"""Several machines on one: network namespaces on a bridge, each with its own host name, /tmp and home."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .servers import BIN, Env

PREFIX = "bimt-test-"  # of the names of namespaces; the id of their process follows
NETWORK = "10.77.0"  # only inside the namespaces
CLONE_NEWNET = 0x40000000
PROJECT = Path(__file__).parents[2]
WITH_PRIVATE_TMP = """hostname "$1" && tmp=$2 && project=$3 && shift 3
case $project in  # which may be below the hidden /tmp
  /tmp/*) mkdir -p "$tmp${project#/tmp}" && mount --bind "$project" "$tmp${project#/tmp}" ;;
esac
mount --rbind "$tmp" /tmp && cd "$HOME" && exec "$@"
"""


@dataclass(frozen=True)
class Host:
    """A machine that reaches only the others of its network.

    Args:
        name: Host name.
        namespace: Network namespace.
        address: Address in the network.
        tmp: Folder that is /tmp inside.
    """

    name: str
    namespace: str
    address: str
    tmp: Path

    @property
    def home(self) -> Path:
        """Home folder, as seen from outside; it is /tmp/home inside."""
        return self.tmp / "home"

    def start(self, *words: str, env: Env | None = None, **options: Any) -> "subprocess.Popen[str]":
        """Starts a program in its home; of this process's environment it gets only PATH."""
        own = {"HOME": "/tmp/home", "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]), "LANG": "C.UTF-8"}
        inside = ["ip", "netns", "exec", self.namespace, "unshare", "--mount", "--uts"]
        command = [*inside, "sh", "-c", WITH_PRIVATE_TMP, "sh", self.name, str(self.tmp), str(PROJECT), *words]
        return subprocess.Popen(command, env=own | (env or {}), text=True, **options)

    def run(self, *words: str, env: Env | None = None) -> "subprocess.CompletedProcess[str]":
        """Runs a program to its end."""
        process = self.start(*words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def find_obstacle() -> str | None:
    """Returns the reason why this machine cannot simulate several; None if it can."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return "needs Linux and iproute2 (Debian: apt install iproute2)"
    try:
        with create_hosts("try"):
            return None
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not allowed here: {error.stderr.strip()}"


@contextmanager
def create_hosts(*names: str) -> Iterator[list[Host]]:
    """Creates hosts; at the end they are removed with all of their processes."""
    _remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix="hosts-"))
    switch = f"{PREFIX}{os.getpid()}-switch"
    hosts = [
        Host(name, f"{PREFIX}{os.getpid()}-{name}", f"{NETWORK}.{number}", folder / name)
        for number, name in enumerate(names, 1)
    ]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for host in hosts:
            host.home.mkdir(parents=True)
            _plug_in(host, switch)
        yield hosts
    finally:
        for namespace in [*(host.namespace for host in hosts), switch]:
            _remove(namespace)
        shutil.rmtree(folder, ignore_errors=True)


def _plug_in(host: Host, switch: str) -> None:
    _ip("netns", "add", host.namespace)
    _ip("-n", host.namespace, "link", "add", "eth0", "type", "veth", "peer", "name", host.name, "netns", switch)
    _ip("-n", switch, "link", "set", host.name, "master", "bridge", "up")
    _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
    for link in ("lo", "eth0"):
        _ip("-n", host.namespace, "link", "set", link, "up")


def list_processes(host: Host) -> list[int]:
    """Lists the ids of all processes of a host."""
    return _list_processes(host.namespace)


def _list_processes(namespace: str) -> list[int]:
    listed = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    return [int(pid) for pid in listed.stdout.split()]


def _remove(namespace: str) -> None:
    for pid in _list_processes(namespace):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


def _remove_leftovers() -> None:
    """Removes the hosts of test processes that were killed."""
    for path in Path("/run/netns").glob(f"{PREFIX}*"):
        if not psutil.pid_exists(int(path.name.split("-")[2])):
            _remove(path.name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


# Tunnels


@contextmanager
def open_tunnels(*ends: tuple[Host | None, int, Host | None, int]) -> Iterator[None]:
    """Forwards ports of 127.0.0.1 on one host to ports of 127.0.0.1 on another, as SSH does.

    Args:
        ends: For each tunnel the host and port to connect to, and the destination; None is this machine.
    """
    with ExitStack() as open_ends:
        for host, port, to, to_port in ends:
            with _enter_host(host):
                listener = socket.create_server(("127.0.0.1", port))
            open_ends.callback(listener.close)
            open_ends.callback(listener.shutdown, socket.SHUT_RDWR)
            threading.Thread(target=_serve, args=(listener, to, to_port), daemon=True).start()
        yield


def _serve(listener: socket.socket, to: Host | None, port: int) -> None:
    with suppress(OSError):  # the listener is closed
        while True:
            near, _ = listener.accept()
            threading.Thread(target=_connect, args=(near, to, port), daemon=True).start()


def _connect(near: socket.socket, to: Host | None, port: int) -> None:
    with near, suppress(OSError):
        with _enter_host(to):
            far = socket.create_connection(("127.0.0.1", port))
        with far:
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@contextmanager
def _enter_host(host: Host | None) -> Iterator[None]:
    """Makes the sockets that this thread creates belong to a host."""
    if host is None:
        yield
        return
    with Path("/proc/thread-self/ns/net").open() as own, Path("/run/netns", host.namespace).open() as theirs:
        _enter(theirs.fileno())
        try:
            yield
        finally:
            _enter(own.fileno())


def _enter(namespace: int) -> None:
    """Does what `os.setns` does from Python 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def can_connect(host: Host, address: str, port: int) -> bool:
    """Tells if a process on a host can connect to a port."""
    with suppress(OSError), _enter_host(host):
        socket.create_connection((address, port), timeout=5).close()
        return True
    return False

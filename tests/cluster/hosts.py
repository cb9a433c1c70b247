"""Machines of their own on one: network namespaces on a bridge, each with its own name, /tmp and home."""

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

from .parts import BIN, Env

PREFIX = "bimt-test-"  # of the namespaces' names; the process that made them follows
NETWORK = "10.77.0"  # exists inside the namespaces only
CLONE_NEWNET = 0x40000000
PROJECT = Path(__file__).parents[2]
WITH_OWN_TMP = """hostname "$1" && tmp=$2 && project=$3 && shift 3
case $project in  # which may lie in what is hidden
  /tmp/*) mkdir -p "$tmp${project#/tmp}" && mount --bind "$project" "$tmp${project#/tmp}" ;;
esac
mount --rbind "$tmp" /tmp && cd "$HOME" && exec "$@"
"""


@dataclass(frozen=True)
class Host:
    """A machine that reaches the others of its network and nothing else.

    Args:
        name: Its name.
        namespace: Its network namespace.
        address: Its address in the network.
        tmp: What it sees as /tmp.
    """

    name: str
    namespace: str
    address: str
    tmp: Path

    @property
    def home(self) -> Path:
        """As seen from outside; /tmp/home inside."""
        return self.tmp / "home"

    def start(self, *words: str, env: Env | None = None, **how: Any) -> "subprocess.Popen[str]":
        """Starts a program there, in its home, with no more of our environment than where programs are."""
        own = {"HOME": "/tmp/home", "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]), "LANG": "C.UTF-8"}
        inside = ["ip", "netns", "exec", self.namespace, "unshare", "--mount", "--uts"]
        command = [*inside, "sh", "-c", WITH_OWN_TMP, "sh", self.name, str(self.tmp), str(PROJECT), *words]
        return subprocess.Popen(command, env=own | (env or {}), text=True, **how)

    def run(self, *words: str, env: Env | None = None) -> "subprocess.CompletedProcess[str]":
        """Runs a program there to its end."""
        process = self.start(*words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def why_not() -> str | None:
    """Why this machine cannot be several, if so."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return "needs Linux and iproute2 (Debian: apt install iproute2)"
    try:
        with hosts("try"):
            return None
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not allowed here: {error.stderr.strip()}"


@contextmanager
def hosts(*names: str) -> Iterator[list[Host]]:
    """Makes hosts; at the end they are gone with all that ran there."""
    _remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix="hosts-"))
    switch = f"{PREFIX}{os.getpid()}-switch"
    made = [
        Host(name, f"{PREFIX}{os.getpid()}-{name}", f"{NETWORK}.{number}", folder / name)
        for number, name in enumerate(names, 1)
    ]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for host in made:
            host.home.mkdir(parents=True)
            _plug_in(host, switch)
        yield made
    finally:
        for namespace in [*(host.namespace for host in made), switch]:
            _remove(namespace)
        shutil.rmtree(folder, ignore_errors=True)


def _plug_in(host: Host, switch: str) -> None:
    _ip("netns", "add", host.namespace)
    _ip("-n", host.namespace, "link", "add", "eth0", "type", "veth", "peer", "name", host.name, "netns", switch)
    _ip("-n", switch, "link", "set", host.name, "master", "bridge", "up")
    _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
    for link in ("lo", "eth0"):
        _ip("-n", host.namespace, "link", "set", link, "up")


def processes(host: Host) -> list[int]:
    """Ids of all processes of a host."""
    return _processes(host.namespace)


def _processes(namespace: str) -> list[int]:
    listed = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    return [int(pid) for pid in listed.stdout.split()]


def _remove(namespace: str) -> None:
    for pid in _processes(namespace):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


def _remove_leftovers() -> None:
    """Removes the hosts of processes that were killed."""
    for path in Path("/run/netns").glob(f"{PREFIX}*"):
        if not psutil.pid_exists(int(path.name.split("-")[2])):
            _remove(path.name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


# Tunnels


@contextmanager
def tunnels(*ends: tuple[Host | None, int, Host | None, int]) -> Iterator[None]:
    """What SSH's port forwarding does: ports of 127.0.0.1 on one host lead to ports of 127.0.0.1 on another.

    Args:
        ends: For each tunnel the host and port people connect to, and those it leads to; None is this machine.
    """
    with ExitStack() as open_ends:
        for host, port, to, to_port in ends:
            with _inside(host):
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
        with _inside(to):
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
def _inside(host: Host | None) -> Iterator[None]:
    """Sockets that this thread makes meanwhile belong to the host."""
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
    """`os.setns`, which Python has from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def reaches(host: Host, address: str, port: int) -> bool:
    """Whether somebody on a host can connect to a port."""
    with suppress(OSError), _inside(host):
        socket.create_connection((address, port), timeout=5).close()
        return True
    return False

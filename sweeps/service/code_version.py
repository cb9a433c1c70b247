"""Version of the installed code, by its content: the same code on two machines has the same version."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sweeps import __version__

PACKAGES = ("bimt_core", "sweeps")
SUFFIXES = (".py", ".yaml", ".html")  # code, presets, page templates


@cache
def code_version() -> str:
    """Returns the package's version and a hash of its code, such as "0.2.0+ab12cd34"."""
    return f"{__version__}+{hash_code(_find_folder(name) for name in PACKAGES)}"


def hash_code(folders: Iterable[Path]) -> str:
    """Returns eight hexadecimal digits of the SHA-256 of all source files of packages.

    The location of the packages, line endings and compiled files do not matter.

    Args:
        folders: Folder of each package.
    """
    digest = hashlib.sha256()
    for folder in folders:
        for path in list_code(folder):
            content = path.read_bytes().replace(b"\r\n", b"\n")
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:8]


def list_code(folder: Path) -> list[Path]:
    """Lists the source files of a package, sorted.

    Args:
        folder: Folder of the package.
    """
    paths = (path for suffix in SUFFIXES for path in folder.rglob(f"[!.]*{suffix}"))
    return sorted(paths, key=lambda path: path.relative_to(folder).as_posix())


def _find_folder(package: str) -> Path:
    spec = find_spec(package)  # does not import it
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent

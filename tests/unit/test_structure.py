"""The tests mirror the code: every module has a test file of its name in the folder of its package, in some tier."""

from pathlib import Path

PROJECT = Path(__file__).parents[2]
TIERS = ("unit", "integration", "cluster")


def untested(packages: Path, tests: Path) -> list[str]:
    """Modules without a test file of their name."""
    modules = [
        path.relative_to(packages)
        for name in ("bimt_core", "sweeps")
        for path in sorted((packages / name).rglob("*.py"))
        if not path.name.startswith("__")
    ]
    return [
        str(module)
        for module in modules
        if not any((tests / tier / module.parent / f"test_{module.name}").is_file() for tier in TIERS)
    ]


def test_every_module_has_a_test_file_of_its_name():
    assert untested(PROJECT, PROJECT / "tests") == []


def test_a_module_without_tests_would_be_found(tmp_path):
    for path in ("code/sweeps/a.py", "code/sweeps/run/b.py", "code/sweeps/__init__.py", "tests/unit/sweeps/test_a.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert untested(tmp_path / "code", tmp_path / "tests") == ["sweeps/run/b.py"]

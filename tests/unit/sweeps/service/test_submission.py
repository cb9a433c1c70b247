"""What travels to a cluster, and what comes back when it is refused; the rest is in test_service.py."""

from pathlib import Path

import pytest

from sweeps.errors import BadInputError
from sweeps.service import submission
from sweeps.spec.files import read_spec


def test_a_spec_travels_whole(small_spec) -> None:
    spec = small_spec(description="costs ${HOME} and $PGPASSWORD", constraints=["score >= 0.5"], seed=7)
    with submission.pack_folder(spec, None) as folder:
        assert [path.name for path in folder.iterdir()] == ["sweep.yaml"]
        assert read_spec(folder / "sweep.yaml") == spec
    assert not folder.exists()


def test_the_users_folder_goes_along_and_stays_as_it_is(small_spec, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "my.py").write_text("x = 1")
    (tmp_path / "sweep.yaml").write_text("mine")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1")
    monkeypatch.chdir(tmp_path)
    with submission.pack_folder(small_spec(), Path()) as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["data", "my.py", "sweep.yaml"]
        assert (folder / "data" / "a.csv").read_text() == "1"
        assert read_spec(folder / "sweep.yaml") == small_spec()
    assert (tmp_path / "sweep.yaml").read_text() == "mine"
    assert (tmp_path / "data" / "a.csv").exists()


def test_what_cannot_travel_is_refused(small_spec, tmp_path: Path) -> None:
    own = small_spec().model_copy(update={"task": "mine:task"})
    with pytest.raises(BadInputError, match=r"task 'mine:task' is your own, .*: add --working-dir"):
        submission.check_portable(own, None)
    submission.check_portable(own, tmp_path)
    with pytest.raises(BadInputError, match=r"working_dir must be a folder, got .*none"):
        submission.check_portable(own, tmp_path / "none")
    with pytest.raises(BadInputError, match="at most 60000 bytes to travel to a cluster, got 6"):
        submission.check_portable(small_spec(description="x" * 60_000), None)


def test_differences_are_named(small_spec) -> None:
    kept = submission.make_metadata(small_spec())
    assert submission.find_differences(kept, small_spec()) == []
    assert submission.find_differences(kept, small_spec(trials=5, seed=1)) == [
        "trials is 3, asked for 5",
        "seed is 0, asked for 1",
    ]


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("Sweep x: 3 trials\nbimt: name: must be\nbimt: trials: must be\n", ["name: must be", "trials: must be"]),
        ("Traceback (most recent call last):\n  File x\nValueError: no\n", ["the driver ended: ValueError: no"]),
        (
            "╭── Traceback ──╮\n│ x │\n╰───╯\nImportError: no 'x' \n(/a.py)\n",
            ["the driver ended: ImportError: no 'x'  (/a.py)"],
        ),
        ("Error: No such option: --client-version\n", ["the driver ended: Error: No such option: --client-version"]),
        ("sh: 1: exec: python: not found\n", ["the driver ended: sh: 1: exec: python: not found"]),
        ("", ["the driver ended and said nothing"]),
    ],
)
def test_a_drivers_refusal_is_its_own_lines_or_its_last(printed: str, told: list[str]) -> None:
    assert submission.extract_refusal(printed) == told


def test_only_what_the_latest_launch_printed_counts() -> None:
    first, second = submission.make_entrypoint("aaa"), submission.make_entrypoint("bbb")
    log = f"Running: {first}\nSweep x has begun\nRunning: {second}\nbimt: no\n"
    assert submission.started_line("x") in submission.printed_since(log, "aaa")
    assert submission.printed_since(log, "bbb") == submission.printed_last(log) == "bimt: no\n"
    assert submission.printed_since(log, "ccc") == submission.printed_last("") == ""


def test_another_version_is_refused() -> None:
    submission.check_client(submission.own_version())
    with pytest.raises(BadInputError, match=r"^bimt-sweeps must be the same .*: the client has 0\.0\.9, the cluster "):
        submission.check_client("0.0.9")

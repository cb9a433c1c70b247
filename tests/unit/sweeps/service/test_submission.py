"""Submissions to a simulated cluster; test_service.py submits to a real one."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from sweeps.errors import BadInputError, ClusterError
from sweeps.run.agenda import ConfirmRequest
from sweeps.service import submission
from sweeps.service.code_version import code_version
from sweeps.service.jobs import Job
from sweeps.service.submission import LaunchResult
from sweeps.spec.files import read_spec


@dataclass
class Cluster:
    """Jobs of a cluster in memory: a submitted job has the given status, and prints the given text."""

    status: str = "RUNNING"
    output: str = ""
    jobs: dict[str, Job] = field(default_factory=dict)
    log: str = ""
    submissions: list[dict] = field(default_factory=list)

    def find(self, name):
        return self.jobs.get(name)

    def list_all(self):
        return list(self.jobs.values())

    def count_resource(self, name):
        return 1

    def read_log(self, name):
        return self.log

    def delete(self, name):
        del self.jobs[name]

    def submit(self, name, entrypoint, folder, **options):
        if name in self.jobs:
            return False
        self.submissions.append({"spec": read_spec(folder / "sweep.yaml"), "entrypoint": entrypoint, **options})
        has_node = self.status != "PENDING"
        self.jobs[name] = Job(name, self.status, datetime.now(), has_node=has_node, metadata=options["metadata"])
        self.log += f"Running: {entrypoint}\n{self.output}"
        return True


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(submission, "SETTLE_S", 0.0)
    monkeypatch.setattr(submission, "POLL_S", 0.0)
    monkeypatch.setattr(submission, "START_PATIENCE_S", 0.05)


def test_a_new_sweep_is_submitted_with_its_spec(small_spec):
    cluster = Cluster(output="Sweep small has started\n")
    assert submission.submit(cluster, small_spec(), None) == LaunchResult("small", "running", new=True)
    (submitted,) = cluster.submissions
    assert submitted["spec"] == small_spec()
    assert f"--client-version {code_version()}  # launch " in submitted["entrypoint"]
    assert submitted["metadata"]["bimt.version"] == code_version()
    assert submitted["resource"] == "bimt_driver"


def test_a_running_sweep_is_left_as_it_is(small_spec):
    cluster = Cluster(output="Sweep small has started\n")
    submission.submit(cluster, small_spec(), None)
    assert submission.submit(cluster, small_spec(), None) == LaunchResult("small", "running", new=False)
    with pytest.raises(BadInputError, match=r"'small' is running with another spec: trials is 3, asked for 5; stop it"):
        submission.submit(cluster, small_spec(trials=5), None)
    assert len(cluster.submissions) == 1


def test_a_confirmation_is_a_job_of_its_own(small_spec):
    cluster = Cluster(status="SUCCEEDED")
    submission.submit(cluster, small_spec(), None)
    cluster.status, cluster.output = "RUNNING", "Sweep small has started\n"
    requests = [ConfirmRequest(8), ConfirmRequest(16, 3)]
    result = submission.submit(cluster, small_spec(), None, requests[0])
    assert result == LaunchResult("small", "running", new=True)
    assert " confirm small --replicates 8 --client-version " in cluster.submissions[1]["entrypoint"]
    assert cluster.submissions[1]["spec"] == small_spec()
    assert submission.submit(cluster, small_spec(), None, requests[0]) == LaunchResult("small", "running", new=False)
    for request in (requests[1], None):
        with pytest.raises(BadInputError, match=r"^sweep 'small' is running and confirms its front .*: wait for"):
            submission.submit(cluster, small_spec(), None, request)
    assert len(cluster.submissions) == 2
    entrypoint = submission.make_entrypoint("aaa", small_spec(), requests[1])
    assert " confirm small --replicates 16 --data-seed 3 --client-version " in entrypoint


def test_a_sweep_that_runs_is_not_confirmed(small_spec):
    cluster = Cluster(output="Sweep small has started\n")
    submission.submit(cluster, small_spec(), None)
    with pytest.raises(BadInputError, match=r"^sweep 'small' is running and searches: wait for its end, or stop"):
        submission.submit(cluster, small_spec(), None, ConfirmRequest(8))


def test_a_finished_sweep_is_submitted_again(small_spec):
    cluster = Cluster(status="SUCCEEDED")
    for _ in range(2):
        assert submission.submit(cluster, small_spec(), None) == LaunchResult("small", "complete", new=True)
    assert len(cluster.submissions) == 2


def test_a_queued_sweep_has_a_position(small_spec):
    cluster = Cluster(output="Sweep first has started\n")
    submission.submit(cluster, small_spec(name="first"), None)
    cluster.status = "PENDING"
    result = submission.submit(cluster, small_spec(name="second"), None)
    assert result == LaunchResult("second", "waiting", new=True, position=1)


def test_a_slow_driver_is_starting(small_spec):
    assert submission.submit(Cluster(), small_spec(), None) == LaunchResult("small", "starting", new=True)


def test_a_drivers_refusal_is_raised(small_spec):
    cluster = Cluster(status="FAILED", output="bimt: resources.cpus must be at most 2, got 100\n")
    with pytest.raises(BadInputError, match=r"^resources\.cpus must be at most 2, got 100$"):
        submission.submit(cluster, small_spec(), None)


def test_a_name_that_vanishes_while_it_is_submitted_is_an_error(small_spec):
    class Racing(Cluster):
        def submit(self, *arguments, **options):
            return False

    with pytest.raises(ClusterError, match="another client launched 'small' and removed it"):
        submission.submit(Racing(), small_spec(), None)


def test_the_packed_spec_is_the_same(small_spec):
    spec = small_spec(description="costs ${HOME} and $PGPASSWORD", constraints=["val_score >= 0.5"], seed=7)
    with submission.pack_folder(spec, None) as folder:
        assert [path.name for path in folder.iterdir()] == ["sweep.yaml"]
        assert read_spec(folder / "sweep.yaml") == spec
    assert not folder.exists()


def test_the_users_folder_is_packed_and_not_changed(small_spec, tmp_path, monkeypatch):
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


def test_a_sweep_that_cannot_be_sent_is_refused(small_spec, tmp_path):
    own = small_spec().model_copy(update={"task": "mine:task"})
    with pytest.raises(BadInputError, match=r"task 'mine:task' is your own, .*: add --working-dir"):
        submission.check_portable(own, None)
    submission.check_portable(own, tmp_path)
    with pytest.raises(BadInputError, match=r"working_dir must be a folder, got .*none"):
        submission.check_portable(own, tmp_path / "none")
    with pytest.raises(BadInputError, match="at most 60000 bytes to run on a cluster, got 6"):
        submission.check_portable(small_spec(description="x" * 60_000), None)


def test_differences_name_both_values(small_spec):
    metadata = submission.make_metadata(small_spec())
    assert submission.find_differences(metadata, small_spec()) == []
    assert submission.find_differences(metadata, small_spec(trials=5, seed=1)) == [
        "trials is 3, asked for 5",
        "seed is 0, asked for 1",
    ]


def test_a_refusal_is_the_drivers_own_lines_or_its_last():
    for output, lines in [
        ("Sweep x: 3 trials\nbimt: name: must be\nbimt: trials: must be\n", ["name: must be", "trials: must be"]),
        ("Traceback (most recent call last):\n  File x\nValueError: no\n", ["the driver ended: ValueError: no"]),
        (
            "╭── Traceback ──╮\n│ x │\n╰───╯\nImportError: no 'x' \n(/a.py)\n",
            ["the driver ended: ImportError: no 'x'  (/a.py)"],
        ),
        ("Error: No such option: --client-version\n", ["the driver ended: Error: No such option: --client-version"]),
        ("sh: 1: exec: python: not found\n", ["the driver ended: sh: 1: exec: python: not found"]),
        ("", ["the driver ended without any output"]),
    ]:
        assert submission.extract_refusal(output) == lines


def test_the_output_of_one_launch_is_selected(small_spec):
    first, second = (submission.make_entrypoint(launch_id, small_spec()) for launch_id in ("aaa", "bbb"))
    log = f"Running: {first}\nSweep x has started\nRunning: {second}\nbimt: no\n"
    assert submission.format_start("x") in submission.select_launch(log, "aaa")
    assert submission.select_launch(log, "bbb") == submission.select_last_launch(log) == "bimt: no\n"
    assert submission.select_launch(log, "ccc") == submission.select_last_launch("") == ""


def test_a_client_with_other_code_is_refused():
    submission.check_client(code_version())
    other = f"{code_version().partition('+')[0]}+00000000"
    with pytest.raises(BadInputError) as caught:
        submission.check_client(other)
    assert str(caught.value) == (
        "bimt-sweeps must run the same code on client and cluster:"
        f" the client has {other}, the cluster {code_version()}"
    )

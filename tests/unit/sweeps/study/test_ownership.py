import os
import signal
import subprocess
import sys

import pytest

from sweeps.errors import BadInputError
from sweeps.store import Store
from sweeps.study.ownership import find_driver, hold_driver_lock

DRIVER = """
import sys, time
from pathlib import Path
from sweeps.store import Store
from sweeps.study.ownership import hold_driver_lock
with hold_driver_lock(Store(Path(sys.argv[1])), "a sweep"):
    print("holds it", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_driver(tmp_path):
    """A driver of the same sweep, in a process of its own."""
    Store(tmp_path).prepare("a sweep")
    process = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "holds it\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_driver_is_refused(tmp_path, other_driver):
    store = Store(tmp_path)
    with (
        pytest.raises(
            BadInputError, match=r"^sweep 'a sweep' is already running from this store; watch it with: bimt "
        ),
        hold_driver_lock(store, "a sweep"),
    ):
        pytest.fail("both drivers run")
    assert other_driver.poll() is None


def test_a_driver_of_another_sweep_is_not_in_the_way(tmp_path, other_driver):
    store = Store(tmp_path)
    store.prepare("another")
    with hold_driver_lock(store, "another"):
        assert other_driver.poll() is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_lock_of_a_killed_driver_is_free(tmp_path, other_driver, how):
    other_driver.send_signal(how)
    other_driver.wait()
    with hold_driver_lock(Store(tmp_path), "a sweep"):
        pass


def test_the_driver_that_runs_is_known_until_it_ends(tmp_path, other_driver):
    store = Store(tmp_path)
    assert find_driver(store, "a sweep") == other_driver.pid
    assert find_driver(store, "another") is None
    other_driver.kill()
    other_driver.wait()
    assert (store.work_folder("a sweep") / "driver.json").exists(), "what the killed one left behind"
    assert find_driver(store, "a sweep") is None
    with hold_driver_lock(store, "a sweep"):
        assert find_driver(store, "a sweep") == os.getpid()
    assert not (store.work_folder("a sweep") / "driver.json").exists()


def test_a_driver_on_another_machine_is_left_alone(tmp_path, other_driver):
    (tmp_path / "sweeps" / "a sweep" / "driver.json").write_text('{"host": "elsewhere", "pid": 1}')
    with pytest.raises(BadInputError, match=r"^sweep 'a sweep' runs on elsewhere; stop it there$"):
        find_driver(Store(tmp_path), "a sweep")


def test_the_lock_is_free_after_an_error(tmp_path):
    store = Store(tmp_path)
    store.prepare("x")
    with pytest.raises(KeyError), hold_driver_lock(store, "x"):
        raise KeyError
    with hold_driver_lock(store, "x"):
        pass

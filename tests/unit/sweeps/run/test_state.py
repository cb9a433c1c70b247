import subprocess
import sys

import pytest

from sweeps.run.state import WorkerClock


def test_shares_sum_to_the_whole_time_of_the_workers():
    clock = WorkerClock()
    clock.add([("training", 3.0), ("drawing", 0.5)])
    clock.add([("training", 1.0)])
    shares = clock.shares(8.0)
    idle = dict.fromkeys(("measuring", "suggesting"), 0.0)
    assert shares == {"training": 0.5, "drawing": 0.0625, "starting and waiting": 0.4375} | idle
    assert sum(shares.values()) == pytest.approx(1)
    assert clock.shares(0.0) == {}


def test_an_unknown_activity_is_refused():
    with pytest.raises(KeyError):
        WorkerClock().add([("sleeping", 1.0)])


def test_the_state_needs_neither_rich_nor_ray():
    program = "import sys, sweeps.run.state; print('rich' in sys.modules, 'ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]

"""A sweep with a confirmed front."""

from dataclasses import dataclass

import pytest
from support.example_sweeps import DOMINATED, FRONT, create_sweep, example_spec

from sweeps.spec.sweep import SweepSpec
from sweeps.study.confirmation import judge_all_confirmed
from sweeps.study.gains import find_baseline
from sweeps.study.trial import Trial

BASELINE = (0.91, 25.0)  # trial 1 is better in both objectives
CONFIRMED = {None: (0.9, 24.0), 0: (0.6, 31.0), 1: (0.92, 12.0), 2: (0.9, 10.0), 3: (0.5, 1.0)}


@dataclass(frozen=True)
class ConfirmedSweep:
    """A sweep whose trials 0 to 3 are the front, and whose trial 0 was lucky; the baseline is trial 5."""

    spec: SweepSpec
    trials: list[Trial]

    @property
    def front(self):
        return self.trials[:4]

    @property
    def baseline(self):
        return find_baseline(self.trials)

    @property
    def confirmed(self):
        return judge_all_confirmed(self.trials, self.spec)


@pytest.fixture
def sweep(tmp_path, small_spec):
    """Creates the sweep, with changes of its spec, baseline or confirmation."""

    def create(baseline=BASELINE, confirmed=CONFIRMED, **changes):
        spec = example_spec(small_spec, **changes)
        results = [*FRONT, DOMINATED[0]]
        created = create_sweep(tmp_path, spec, results, baseline=baseline, confirmed=confirmed)
        return ConfirmedSweep(spec, created._study.trials())

    return create

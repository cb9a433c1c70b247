"""Suggestions: hyperparameters of the next trials, found while workers train."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from sweeps.errors import BadInputError
from sweeps.spec.sweep import SweepSpec
from sweeps.study.observations import make_observations
from sweeps.study.samplers import Suggestions, check_sampler, make_distributions, suggest
from sweeps.study.trial import Trial

READY_AT = 0.9  # of a cohort's steps: its metrics are then nearly final, and the next suggestions are prepared


@dataclass
class _Prepared:
    count: int
    result: "Future[Suggestions]"


class Suggester:
    """Suggests trials to a sweep, ahead of time where it can.

    Args:
        spec: The sweep.

    Attributes:
        waited_s: Seconds that the driver has waited for suggestions.
        counts: Number of suggestions by the sampler that made them.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self._spec, self._space = spec, make_distributions(spec)
        self._pool = ThreadPoolExecutor(1, "suggesting")
        self._prepared: _Prepared | None = None
        self.waited_s, self.counts = 0.0, Counter[str]()
        self._suggestion_s: float | None = None

    def prepare(
        self, trials: Sequence[Trial], n: int, interim: Mapping[int, Mapping[str, list[float]]], trial_s: float | None
    ) -> None:
        """Begins to search for suggestions in the background, unless some are prepared already.

        Args:
            trials: Trials of the sweep, those that run included.
            n: Number of suggestions.
            interim: Metrics of trials that are about to end, by number; they count as their results.
            trial_s: Seconds that one trial takes one worker; None if not known.
        """
        if self._prepared is None and n > 0:
            result = self._pool.submit(self._suggest, list(trials), n, dict(interim), trial_s)
            self._prepared = _Prepared(n, result)

    def take(self, trials: Sequence[Trial], n: int, trial_s: float | None) -> Suggestions:
        """Returns suggestions: those prepared, if there are enough, and else new ones.

        Args:
            trials: Trials of the sweep, those that run included.
            n: Number of suggestions, at least 1.
            trial_s: Seconds that one trial takes one worker; None if not known.
        """
        before, prepared, self._prepared = time.perf_counter(), self._prepared, None
        if prepared is not None and prepared.count >= n:
            found = prepared.result.result()
            found = Suggestions(found.params[:n], found.sampler)
        else:
            found = self._suggest(trials, n, {}, trial_s)
        self.waited_s += time.perf_counter() - before
        self.counts[found.sampler] += len(found.params)
        return found

    def close(self) -> None:
        """Ends the background thread; suggestions that nobody took are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _suggest(
        self, trials: Sequence[Trial], n: int, interim: Mapping[int, Mapping[str, list[float]]], trial_s: float | None
    ) -> Suggestions:
        before = time.perf_counter()
        found = suggest(
            self._space,
            [objective.direction for objective in self._spec.objectives],
            make_observations(trials, self._spec, interim),
            n,
            sampler=self._spec.sampler,
            seed=self._spec.seed,
            trials=self._spec.trials,
            trial_s=trial_s,
            suggestion_s=self._suggestion_s,
        )
        if found.sampler == "gp":
            self._suggestion_s = (time.perf_counter() - before) / n
        return found


def check_sampler_of(spec: SweepSpec) -> None:
    """Checks that a sweep's sampler can search its space.

    Args:
        spec: The sweep.

    Raises:
        BadInputError: If it cannot.
    """
    if spec.variants:
        return
    try:
        check_sampler(make_distributions(spec), len(spec.objectives), spec.sampler, spec.trials)
    except ValueError as error:
        raise BadInputError(f"sweep {spec.name!r}: {error}") from None

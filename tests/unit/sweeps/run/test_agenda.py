"""The agenda with a real study and made-up results, without Ray."""

import json
import math
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from bimt_core import METRICS
from sweeps.errors import BadInputError
from sweeps.run.agenda import Agenda, ConfirmRequest
from sweeps.run.suggestions import Suggester
from sweeps.spec.sweep import parse_spec
from sweeps.study.creation import load_or_create_study
from sweeps.study.study import SweepStudy

SPACE = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "weight_factor": {"low": 0.0, "high": 4.0}}
STARTS = [{"cost_weight": 10.0 ** -(2 + 0.3 * i), "weight_factor": 0.5 * i} for i in range(6)]


def make_spec(**changes):
    whole = {
        "name": "s",
        "task": "two_moons",
        "search": SPACE | {"steps": 40},
        "objectives": [
            {"metric": "val_score", "direction": "maximize"},
            {"metric": "connection_cost", "direction": "minimize"},
        ],
        "trials": 6,
        "replicates": 2,
        "confirm": {"replicates": 3},
        "sampler": "random",
        "seed": 10,
    }
    return parse_spec({name: value for name, value in (whole | changes).items() if value is not None})


def measure(params, seeds, noise=0.05):
    """Values of networks along a trade-off between score and cost, with noise that depends on the seed."""
    x, y = -math.log10(params["cost_weight"]) - 2, params["weight_factor"] / 4
    networks = {metric: [0.0] * len(seeds) for metric in METRICS}
    errors = [np.random.default_rng([seed, int(1e9 * params["cost_weight"])]).normal(0, noise) for seed in seeds]
    networks["val_score"] = [0.5 + 0.2 * x - 0.1 * y + error for error in errors]
    networks["connection_cost"] = [1 + 5 * x + 3 * y + 5 * error for error in errors]
    return networks


class Killed(BaseException):
    pass


class Journal(BaseJournalBackend):
    """The journal of a study in memory; a driver that makes more additions than it may is killed before the next."""

    def __init__(self):
        self.lines, self.most = [], math.inf

    def append_logs(self, logs):
        if len(self.lines) >= self.most:
            raise Killed
        self.lines += map(json.dumps, logs)

    def read_logs(self, log_number_from):
        return iter([json.loads(line) for line in self.lines[log_number_from:]])


class Driver:
    """A launch: starts the trials of its agenda, tells their results, and interrupts what an earlier one left."""

    def __init__(self, journal, spec, starts=(), request=None, noise=0.05):
        storage = JournalStorage(journal)
        study = load_or_create_study(storage, spec, starts)
        study.set_user_attr("spec", spec.model_dump(mode="json"))
        self.study, self.noise = SweepStudy(study, storage), noise
        for trial in self.study.known_entries():
            if trial.state == "RUNNING":
                self.study.interrupt(trial.number, "its driver died")
        self.agenda = Agenda(self.study, Suggester(spec), request)

    def start(self, most_networks=4):
        return self.agenda.start_trials(most_networks)

    def end(self, trial, **changes):
        networks = measure(trial.params, trial.seeds, self.noise)
        return self.study.complete(trial.number, networks | changes, {})

    def finish(self, most_networks=4):
        """Trains cohort after cohort; returns what was started."""
        cohorts = []
        while trials := self.start(most_networks):
            for trial in trials:
                self.end(trial)
            cohorts.append(trials)
        assert self.agenda.is_done()
        return cohorts

    def find(self, role):
        return [trial for trial in self.study.known_entries() if trial.role == role]


def roles(trials):
    return [trial.role for trial in trials]


def trained(study):
    """Networks that were trained to their end: purpose, hyperparameters, data and seed of each."""
    entries = study.entries()
    return Counter(
        (t.role, tuple(t.params.items()), t.data_seed, seed)
        for t in entries
        if t.state == "COMPLETE"
        for seed in t.seeds
    )


def assert_whole(study, spec):
    """Every network that the spec asks for was trained once: searched, raced, and confirmed."""
    counts = trained(study)
    assert set(counts.values()) == {1}
    assert study.count("COMPLETE") == spec.trials
    (baseline,) = [trial for trial in study.trials() if trial.role == "baseline" and trial.state == "COMPLETE"]
    assert (baseline.seeds, baseline.params) == (spec.seeds, spec.baseline_params)
    for trial in study.trials():
        if trial.state == "COMPLETE":
            assert sorted(trial.seeds) == list(range(spec.seed, spec.seed + len(trial.seeds)))
            assert spec.replicates <= len(trial.seeds) <= spec.most_replicates
            assert trial.role == "search" or len(trial.seeds) == spec.replicates, "the baseline is not raced"
    confirmed = [] if spec.confirm is None else [baseline, *study.front()]
    for trial in confirmed:
        assert sorted(trial.confirmed.seeds) == list(spec.confirmation_seeds(spec.confirm.replicates))


# The order


def test_the_baseline_comes_first_and_the_confirmation_after_the_last_result():
    driver = Driver(Journal(), make_spec(trials=4))
    assert not driver.agenda.is_done()
    first = driver.start(4)
    assert [(trial.role, trial.seeds) for trial in first] == [("baseline", (10, 11)), ("search", (10, 11))]
    assert first[0].params == driver.study.spec.baseline_params
    second = driver.start(4)
    assert roles(second) == ["search", "search"]
    driver.end(first[0])
    third = driver.start(4)
    assert [(t.role, t.of, t.seeds, t.data_seed) for t in third[:1]] == [("confirmation", 0, (12, 13, 14), None)]
    assert roles(third) == ["confirmation", "search"], "the baseline is confirmed while the search goes on"
    for trial in (*first[1:], *second, third[0]):
        driver.end(trial)
    assert driver.agenda.is_searching
    assert driver.start(4) == [], "the front is confirmed once all results are there"
    assert not driver.agenda.is_done()
    driver.end(third[1])
    front = [trial.number for trial in driver.study.front()]
    assert not driver.agenda.is_searching
    confirmations = [*driver.start(4), *driver.start(100)]
    assert [(t.role, t.of, t.seeds) for t in confirmations] == [("confirmation", n, (12, 13, 14)) for n in front]
    assert driver.start(100) == []
    for trial in confirmations:
        assert not driver.agenda.is_done()
        driver.end(trial)
    assert driver.agenda.is_done()
    assert_whole(driver.study, driver.study.spec)


def test_without_confirmation_the_search_is_all():
    driver = Driver(Journal(), make_spec(confirm=None))
    assert {role for cohort in driver.finish() for role in roles(cohort)} == {"baseline", "search"}
    assert_whole(driver.study, driver.study.spec)


@pytest.mark.parametrize(("most", "sizes"), [(1, [2, 2, 2, 2]), (4, [4, 4]), (5, [6, 2]), (6, [6, 2]), (99, [8])])
def test_a_cohort_is_filled_up_to_its_number_of_networks(most, sizes):
    """The last trial may exceed it; with the baseline there are four trials of two networks."""
    driver = Driver(Journal(), make_spec(trials=3, confirm=None))
    cohorts = []
    while trials := driver.start(most):
        cohorts.append(sum(len(trial.seeds) for trial in trials))
    assert cohorts == sizes


def test_a_failed_trial_of_the_search_is_replaced_and_another_is_not():
    driver = Driver(Journal(), make_spec(trials=2))
    baseline, first, second = driver.start(99)
    driver.study.fail(baseline.number, "diverged")
    driver.study.fail(first.number, "diverged")
    driver.end(second)
    (third,) = driver.start(99)
    assert third.role == "search"
    assert third.params not in (first.params, second.params)
    driver.end(third)
    confirmations = driver.start(99)
    assert set(roles(confirmations)) == {"confirmation"}
    for trial in confirmations:
        driver.study.fail(trial.number, "diverged")
    assert driver.start(99) == []
    assert driver.agenda.is_done()


def test_more_trials_continue_a_finished_sweep():
    journal = Journal()
    Driver(journal, make_spec(trials=2)).finish()
    driver = Driver(journal, make_spec(trials=5))
    assert driver.agenda.missing_search == 3
    before = trained(driver.study)
    driver.finish()
    assert_whole(driver.study, driver.study.spec)
    assert trained(driver.study) > before


@pytest.mark.parametrize("role", ["baseline", "search", "replicates", "confirmation"])
def test_what_was_cut_off_is_repeated_before_anything_new(role):
    spec, journal = make_spec(trials=3, max_replicates=4), Journal()
    driver = Driver(journal, spec, noise=0.5)
    while role not in roles(trials := driver.start(4)):
        assert trials
        for trial in trials:
            driver.end(trial)
    (cut, *_) = (trial for trial in trials if trial.role == role)
    again = Driver(journal, spec, noise=0.5)
    (retry, *_) = (trial for trial in again.start(4) if trial.role == role)
    for name in ("role", "of", "seeds", "data_seed", "params"):
        assert getattr(retry, name) == getattr(cut, name), name
    assert (retry.retry_of, retry.attempt) == (cut.number, 2)
    assert not again.agenda.is_done()


def test_variants_are_neither_raced_nor_confirmed():
    variants = {
        "vanilla": {"cost_weight": 1e-4, "weight_factor": 0.0},
        "BIMT": {"cost_weight": 1e-3, "weight_factor": 1.0},
    }
    driver = Driver(Journal(), make_spec(search={"steps": 40}, variants=variants, trials=None, confirm=None))
    trials = driver.start(99)
    assert [trial.params["variant"] for trial in trials] == ["vanilla", "BIMT"]
    assert not driver.agenda.is_done()
    driver.end(trials[0])
    driver.study.fail(trials[1].number, "diverged")
    assert driver.start(99) == []
    assert driver.agenda.is_done()


# More networks for trials that touch the front


def test_only_trials_that_touch_the_front_get_more_networks_up_to_the_limit():
    """Scores are certain up to 0.01: trials 1 and 2 are near each other, and 3 is far behind both."""
    driver = Driver(Journal(), make_spec(trials=3, max_replicates=5, confirm=None))
    baseline, *trials = driver.start(99)
    driver.end(baseline)
    for trial, score in zip(trials, (0.8, 0.79, 0.5), strict=True):
        driver.end(trial, val_score=[score - 0.01, score + 0.01], connection_cost=[1.0, 1.0])
    rounds = []
    while added := driver.start(99):
        rounds.append([(trial.role, trial.of, trial.seeds) for trial in added])
        for trial in added:
            n, score = len(trial.seeds), {1: 0.8, 2: 0.79}[trial.of]
            driver.end(trial, val_score=[score - 0.02, score + 0.02][:n], connection_cost=[1.0] * n)
    assert rounds == [
        [("replicates", 1, (12, 13)), ("replicates", 2, (12, 13))],
        [("replicates", 1, (14,)), ("replicates", 2, (14,))],
    ]
    assert [len(trial.seeds) for trial in driver.study.trials()] == [2, 5, 5, 2]
    assert driver.agenda.is_done()


def test_a_trial_that_no_longer_touches_the_front_gets_no_more_networks():
    driver = Driver(Journal(), make_spec(trials=2, max_replicates=8, confirm=None))
    baseline, *trials = driver.start(99)
    for trial in (baseline, *trials):
        driver.end(trial, val_score=[0.79, 0.81], connection_cost=[1.0, 1.0])
    first, second = driver.start(99)
    driver.end(first, val_score=[0.9, 0.9], connection_cost=[1.0, 1.0])
    driver.end(second, val_score=[0.75, 0.75], connection_cost=[1.0, 1.0])
    added = []
    while trials := driver.start(99):
        added += [(trial.of, len(trial.seeds)) for trial in trials]
        for trial in trials:
            driver.end(trial, val_score=[0.9, 0.9], connection_cost=[1.0, 1.0])
    assert added == [(1, 2), (1, 2)]


def test_more_networks_come_before_new_trials_and_the_confirmation_comes_after_them():
    driver = Driver(Journal(), make_spec(trials=3, max_replicates=4))
    (baseline, first) = driver.start(4)
    driver.end(baseline)
    driver.end(first)
    trials = driver.start(100)
    assert [(t.role, t.of) for t in trials] == [
        ("replicates", 1),
        ("confirmation", 0),
        ("search", None),
        ("search", None),
    ]
    for trial in trials[1:]:
        driver.end(trial, val_score=[0.0] * len(trial.seeds), connection_cost=[99.0] * len(trial.seeds))
    assert [trial.number for trial in driver.study.front()] == [1]
    assert driver.agenda.is_searching
    assert driver.start(100) == [], "the only trial of the front still gets networks"
    driver.end(trials[0])
    assert [(t.role, t.of, t.seeds) for t in driver.start(100)] == [("confirmation", 1, (14, 15, 16))]


@pytest.mark.parametrize("how", ["fail", "interrupt"])
def test_networks_that_cannot_be_added_are_given_up(how):
    driver = Driver(Journal(), make_spec(trials=1, max_replicates=8, confirm=None))
    for trial in driver.start(99):
        driver.end(trial)
    attempts = 0
    while added := driver.start(99):
        (trial,) = added
        assert (trial.of, trial.seeds) == (1, (12, 13))
        getattr(driver.study, how)(trial.number, "no")
        attempts += 1
    assert attempts == {"fail": 1, "interrupt": 3}[how]
    assert driver.agenda.is_done()


def test_infeasible_trials_get_no_more_networks():
    driver = Driver(Journal(), make_spec(trials=1, max_replicates=8, confirm=None, constraints=["val_score >= 0.9"]))
    for trial in driver.start(99):
        driver.end(trial, val_score=[0.5, 0.6])
    assert driver.start(99) == []
    assert driver.agenda.is_done()


# The end at a plateau


def run_with_values(spec, values):
    """A sweep whose trials have these scores and costs, also when they are confirmed; returns its driver."""
    driver = Driver(Journal(), spec)
    while trials := driver.start(99):
        for trial in trials:
            n, of = len(trial.seeds), trial.number if trial.of is None else trial.of
            searched = [t.number for t in driver.find("search")]
            score, cost = values[searched.index(of)] if of in searched else (0.0, 99.0)
            driver.end(trial, val_score=[score] * n, connection_cost=[cost] * n)
    assert driver.agenda.is_done()
    return driver


PLATEAU = [(0.5, 5.0), (0.7, 7.0), (0.4, 6.0), (0.5, 7.0), (0.9, 1.0), (0.9, 0.9)]


@pytest.mark.parametrize(
    ("values", "gain", "complete"),
    [
        (PLATEAU, 0.01, 4),
        ([*PLATEAU[:2], (0.9, 5.0), (0.4, 9.0), *PLATEAU[4:]], 0.01, 6),
        ([*PLATEAU[:2], (0.7, 6.9999), (0.4, 9.0), *PLATEAU[4:]], 0.01, 4),
        ([*PLATEAU[:2], (0.7, 6.9999), (0.4, 9.0), *PLATEAU[4:]], 1e-9, 6),
        ([*PLATEAU[:2], (0.9, 5.0), (0.4, 9.0), *PLATEAU[4:]], 1e9, 4),
    ],
)
def test_a_search_ends_once_its_confirmed_front_has_stopped_growing(values, gain, complete):
    spec = make_spec(stop_when={"trials": 2, "gain": gain})
    driver = run_with_values(spec, values)
    assert driver.study.count("COMPLETE") == complete
    assert driver.agenda.has_stopped == (complete < 6)
    assert_whole(driver.study, spec.model_copy(update={"trials": complete}))


def test_each_check_confirms_the_front_before_the_search_goes_on():
    spec = make_spec(stop_when={"trials": 2}, trials=5)
    driver = Driver(Journal(), spec)
    searched = [0, 0]
    for trial in driver.start(99):
        driver.end(trial)
    while trials := driver.start(99):
        front = {trial.number for trial in driver.study.front()}
        confirmed = {trial.number for trial in driver.study.trials() if trial.confirmed}
        if "search" in roles(trials):
            assert front <= confirmed
            searched.append(len(trials))
        else:
            assert set(roles(trials)) == {"confirmation"}
        for trial in trials:
            driver.end(trial)
    assert driver.study.count("COMPLETE") in (4, 5)


def test_a_check_waits_for_the_networks_that_are_added_to_trials():
    driver = Driver(Journal(), make_spec(stop_when={"trials": 2}, trials=5, max_replicates=4))
    values = {1: (0.9, 1.0), 2: (0.1, 9.0), 6: (0.89, 1.0), 7: (0.1, 9.0)}

    def end(trials):
        for trial in trials:
            score, cost = values.get(trial.number if trial.of is None else trial.of, (0.0, 99.0))
            n = len(trial.seeds)
            driver.end(trial, val_score=[score - 0.02, score + 0.02, score][:n], connection_cost=[cost] * n)

    end(driver.start(99))
    end(driver.start(99))
    trials = driver.start(99)
    assert [(trial.role, trial.of) for trial in trials] == [("confirmation", 1)]
    end(trials)
    trials = driver.start(99)
    assert roles(trials) == ["search", "search"]
    end(trials)
    assert [trial.number for trial in driver.study.front()] == [1], "which is confirmed"
    assert [trial.of for trial in driver.start(99)] == [trials[0].number], "it touches the front"
    assert len(driver.study.checks) == 1


def test_a_search_without_feasible_trials_goes_on_to_its_last():
    spec = make_spec(stop_when={"trials": 2}, trials=5, constraints=["val_score >= 0.99"])
    driver = run_with_values(spec, [(0.5, 1.0)] * 5)
    assert driver.study.count("COMPLETE") == 5
    assert driver.study.checks == [[], []]


def test_a_check_that_a_killed_driver_did_not_record_is_made_by_the_next():
    spec, journal = make_spec(stop_when={"trials": 2, "gain": 1e-9}, trials=4), Journal()
    driver = Driver(journal, spec)
    driver.study.record_check = lambda confirmed: (_ for _ in ()).throw(Killed)
    with pytest.raises(Killed):
        driver.finish(99)
    again = Driver(journal, spec)
    assert again.study.checks == []
    assert not again.agenda.is_done()
    again.finish(99)
    assert again.study.count("COMPLETE") == 4
    assert len(again.study.checks) == 1


# Only a confirmation


def test_a_request_for_a_single_network_is_refused():
    with pytest.raises(
        BadInputError, match=r"^replicates of a confirmation must be at least 2, for an interval, got 1$"
    ):
        ConfirmRequest(1)


def test_a_request_for_more_networks_trains_only_those_that_are_missing():
    journal = Journal()
    Driver(journal, make_spec()).finish()
    driver = Driver(journal, make_spec(), request=ConfirmRequest(5))
    assert driver.agenda.missing_search == 0
    targets = [0, *(trial.number for trial in driver.study.front())]
    trials = driver.start(999)
    assert [(t.role, t.of, t.seeds) for t in trials] == [("confirmation", n, (15, 16)) for n in targets]
    for trial in trials:
        driver.end(trial)
    assert driver.start(999) == []
    assert driver.agenda.is_done()
    assert all(sorted(t.confirmed.seeds) == [12, 13, 14, 15, 16] for t in driver.study.trials() if t.number in targets)
    fewer = Driver(journal, make_spec(), request=ConfirmRequest(2))
    assert fewer.agenda.is_done()


def test_a_request_for_other_data_trains_all_networks():
    journal = Journal()
    Driver(journal, make_spec()).finish()
    driver = Driver(journal, make_spec(), request=ConfirmRequest(3, data_seed=7))
    targets = [0, *(trial.number for trial in driver.study.front())]
    trials = driver.start(999)
    assert [(t.of, t.seeds, t.data_seed) for t in trials] == [(n, (12, 13, 14), 7) for n in targets]
    driver.study.interrupt(trials[0].number, "its driver died")
    for trial in trials[1:]:
        driver.end(trial)
    whole = Driver(journal, make_spec())
    assert not whole.agenda.is_done(), "what was asked for before is finished"
    (retry,) = whole.start(999)
    assert (retry.of, retry.data_seed, retry.seeds) == (0, 7, (12, 13, 14))
    whole.end(retry)
    assert whole.agenda.is_done()
    assert {None, 7} == set(whole.study.trials()[0].confirmations)


def test_a_request_confirms_an_unfinished_sweep_as_it_is():
    journal = Journal()
    driver = Driver(journal, make_spec(confirm=None))
    baseline, first, second, *rest = driver.start(99)
    driver.end(first)
    driver.end(second)
    asked = Driver(journal, make_spec(confirm=None), request=ConfirmRequest(3))
    front = [trial.number for trial in asked.study.front()]
    trials = asked.start(999)
    assert [(t.role, t.of) for t in trials] == [("baseline", None), *(("confirmation", n) for n in front)]
    assert trials[0].retry_of == baseline.number
    for trial in trials:
        asked.end(trial)
    (last,) = asked.start(999)
    assert (last.role, last.of) == ("confirmation", trials[0].number)
    asked.end(last)
    assert asked.agenda.is_done()
    assert asked.study.count("WAITING") == len(rest), "the search goes on at the next launch"
    again = Driver(journal, make_spec(confirm=None))
    assert not again.agenda.is_done()
    assert set(roles(again.start(999))) == {"search"}


def test_a_request_is_no_check_of_an_unfinished_search():
    spec, journal = make_spec(stop_when={"trials": 3}), Journal()
    driver = Driver(journal, spec)
    for trial in driver.start(4):
        driver.end(trial)
    asked = Driver(journal, spec, request=ConfirmRequest(3))
    asked.finish()
    assert asked.study.checks == []
    again = Driver(journal, spec)
    assert again.agenda.missing_search == 2


def test_a_request_with_racing_adds_no_replicates():
    journal = Journal()
    Driver(journal, make_spec(trials=2, confirm=None)).finish()
    driver = Driver(journal, make_spec(trials=2, confirm=None, max_replicates=8), request=ConfirmRequest(2))
    assert set(roles(driver.start(999))) == {"confirmation"}


# Continuing after a kill


def run_at_random(journal, spec, rng, starts, most_networks):
    """Starts and ends trials in random order until nothing is left to do."""
    driver, running = Driver(journal, spec, starts), []
    while running or not driver.agenda.is_done():
        if running and rng.random() < 0.5:
            driver.end(running.pop(int(rng.integers(len(running)))))
        started = driver.start(most_networks) if len(running) < 12 else []
        idle = not started and not running
        assert not idle or driver.agenda.is_done(), "nothing runs or can be started, and yet something is left to do"
        running += started
    return driver


def run_with_kills(spec, kills, seed, starts=()):
    """Launches again after each kill, which happens at so many additions to the journal."""
    rng, journal = np.random.default_rng(seed), Journal()
    most_networks = int(rng.integers(1, 9))
    for journal.most in (*kills, math.inf):
        with suppress(Killed):
            driver = run_at_random(journal, spec, rng, starts, most_networks)
    assert driver.start(99) == []
    return driver.study


def draw_kills(seed, last):
    """Two of them, because a trial has three attempts."""
    return sorted(np.random.default_rng(seed).integers(3, last, 2).tolist())


def test_a_sweep_that_is_killed_anywhere_ends_like_one_that_is_not():
    """Its trials are known from the start, so it trains exactly the same networks, wherever it is killed."""
    spec, journal = make_spec(), Journal()
    whole = Driver(journal, spec, STARTS)
    whole.finish()
    assert_whole(whole.study, spec)
    n = len(journal.lines)
    assert n > 50
    for kill in range(3, n):
        study = run_with_kills(spec, [kill], kill, STARTS)
        assert trained(study) == trained(whole.study), f"killed at {kill}"
    for seed in range(15):
        study = run_with_kills(spec, draw_kills(seed, n), seed, STARTS)
        assert trained(study) == trained(whole.study), f"killed twice, with the seed {seed}"


def test_a_sweep_that_races_and_is_killed_anywhere_trains_every_network_once():
    spec = make_spec(max_replicates=5, trials=5)
    for seed in range(15):
        assert_whole(run_with_kills(spec, draw_kills(seed, 200), seed), spec)


def test_a_sweep_that_stops_early_and_is_killed_anywhere_trains_every_network_once():
    spec = make_spec(stop_when={"trials": 2, "gain": 1e-6}, trials=7)
    ends = Counter()
    for seed in range(15):
        study = run_with_kills(spec, draw_kills(seed, 200), seed)
        ends[study.count("COMPLETE")] += 1
        assert_whole(study, spec.model_copy(update={"trials": study.count("COMPLETE")}))
    assert set(ends) <= {4, 6, 7}
    assert ends[7] > 0

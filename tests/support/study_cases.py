"""Cases that the study of a sweep passes on every storage; each is called with a new, empty store."""

import math
from collections.abc import Callable

import optuna
import pytest

from bimt_core import METRICS
from sweeps.errors import BadInputError, StoreError
from sweeps.spec.sweep import parse_spec
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names, open_storage
from sweeps.study.study import MAX_ATTEMPTS, SweepStudy

NAME = "small"
SEARCH = {
    "cost_weight": {"low": 1e-4, "high": 1e-2, "log": True},
    "weight_factor": {"low": 0.0, "high": 4.0},
    "layer_distance": {"low": 0.1, "high": 0.5, "step": 0.1},
    "relocate_every": {"low": 50, "high": 500, "step": 50},
    "hidden_width": {"low": 4, "high": 64, "log": True},
    "relocation": {"choices": ["none", "greedy"]},
    "move_moments": {"choices": [True, False]},
    "steps": 40,
    "cost_phases": [[0, 1], [0.5, 2]],
}
OBJECTIVES = [
    {"metric": "val_score", "direction": "maximize"},
    {"metric": "connection_cost", "direction": "minimize"},
]

CASES: list[Callable[[Store], None]] = []


def case(function):
    CASES.append(function)
    return function


def make_spec(**changes):
    """A spec with every kind of hyperparameter and a constraint, with changes; None leaves an entry out."""
    whole = {
        "name": NAME,
        "task": "two_moons",
        "search": SEARCH,
        "objectives": OBJECTIVES,
        "constraints": ["val_score >= 0.5"],
        "sampler": "random",
        "trials": 3,
        "replicates": 2,
    }
    return parse_spec({name: value for name, value in (whole | changes).items() if value is not None})


def launch(store, **changes):
    return SweepStudy.launch(store, make_spec(**changes))


def make_metrics(score=0.9, cost=1.0):
    return dict.fromkeys(METRICS, 0.0) | {"val_score": score, "connection_cost": cost}


def complete(study, number, score=0.9, cost=1.0):
    return study.complete(number, make_metrics(score, cost), dict.fromkeys(METRICS, 0.1))


def complete_trials(study, *values):
    """Asks for a trial per score and connection cost, and completes it."""
    return [complete(study, study.ask().number, score, cost) for score, cost in values]


def states(study):
    return [trial.state for trial in study.trials()]


def numbers(trials):
    return [trial.number for trial in trials]


def load_optuna_study(store):
    """The study as Optuna reads it."""
    return optuna.load_study(study_name=NAME, storage=open_storage(store, NAME))


# Asking for trials and completing them


@case
def a_trial_is_asked_for_with_all_hyperparameters(store):
    study = launch(store)
    asked = study.ask()
    assert (asked.number, asked.attempt) == (0, 1)
    assert list(asked.params) == list(SEARCH)
    (trial,) = study.trials()
    assert trial.params == asked.params
    assert (trial.state, trial.attempt, trial.retry_of, trial.mean) == ("RUNNING", 1, None, {})
    assert trial.started is not None
    assert trial.ended is None


@case
def each_variant_is_asked_for_once_and_again_after_an_interruption(store):
    variants = {"vanilla": {"cost_weight": 0.0, "steps": 30}, "BIMT": {"relocation": "greedy"}}
    changes = {"search": {"steps": 40}, "variants": variants, "trials": None}
    study = launch(store, **changes)
    first, second = study.ask(), study.ask()
    assert first.params == {"variant": "vanilla", "steps": 30, "cost_weight": 0.0}
    assert second.params == {"variant": "BIMT", "steps": 40, "relocation": "greedy"}
    assert study.ask() is None
    study.interrupt(first.number, "its driver died")
    again = launch(store, **changes)
    assert [trial.params["variant"] for trial in again.trials()] == ["vanilla", "BIMT", "vanilla"]
    third = again.ask()
    assert (third.params, third.attempt) == (first.params, 2)
    again.fail(third.number, "diverged")
    assert again.ask() is None


@case
def a_completed_trial_has_its_metrics(store):
    study = launch(store)
    completed = complete(study, study.ask().number, score=0.75, cost=3.0)
    (trial,) = study.trials()
    for t in (completed, trial):
        assert t.state == "COMPLETE"
        assert t.mean == make_metrics(0.75, 3.0)
        assert t.stderr == dict.fromkeys(METRICS, 0.1)
        assert t.feasible is True
        assert t.reason is None
        assert t.ended >= t.started
    assert completed.params == trial.params


@case
def standard_errors_of_a_single_replicate_are_nan(store):
    study = launch(store)
    study.complete(study.ask().number, make_metrics(), dict.fromkeys(METRICS, math.nan))
    (trial,) = study.trials()
    assert list(trial.stderr) == list(METRICS)
    assert all(math.isnan(error) for error in trial.stderr.values())


@case
def a_failed_trial_has_its_reason_and_no_retry(store):
    study = launch(store)
    study.fail(study.ask().number, "replicate 1 diverged")
    (trial,) = study.trials()
    assert (trial.state, trial.reason, trial.feasible) == ("FAIL", "replicate 1 diverged", None)
    assert [study.count(state) for state in ("FAIL", "WAITING", "COMPLETE", "RUNNING")] == [1, 0, 0, 0]


@case
def a_trial_that_has_ended_cannot_end_again(store):
    study = launch(store)
    ends = {
        "complete": lambda number: complete(study, number, score=0.1),
        "fail": lambda number: study.fail(number, "again"),
        "interrupt": lambda number: study.interrupt(number, "again"),
    }
    for first, state in (("complete", "COMPLETE"), ("fail", "FAIL")):
        number = study.ask().number
        ends[first](number)
        before = study.trials()
        for end in ends.values():
            with pytest.raises(ValueError, match=f"^trial {number} must be running to be ended, it is {state}$"):
                end(number)
            assert study.trials() == before


@case
def values_that_are_not_finite_are_refused(store):
    study = launch(store)
    number = study.ask().number
    for metric in ("val_score", "connection_cost"):
        for value in (math.nan, math.inf, -math.inf):
            with pytest.raises(ValueError, match=f"^{metric} of a complete trial must be finite, got {value}$"):
                study.complete(number, make_metrics() | {metric: value}, {})
            assert states(study) == ["RUNNING"]
    complete(study, number)
    assert states(study) == ["COMPLETE"]


# Attempts


@case
def an_interrupted_trial_is_repeated_before_any_new_one(store):
    study = launch(store)
    first, second = study.ask(), study.ask()
    study.interrupt(second.number, "its worker died")
    assert states(study) == ["RUNNING", "FAIL", "WAITING"]
    waiting = study.trials()[2]
    assert (waiting.params, waiting.attempt, waiting.retry_of) == (second.params, 2, second.number)
    retry = study.ask()
    assert (retry.number, retry.params, retry.attempt) == (2, second.params, 2)
    original, repeated = load_optuna_study(store).trials[1:]
    assert (repeated.params, repeated.distributions) == (original.params, original.distributions)
    assert study.trials()[1].reason == "its worker died"
    assert study.ask().attempt == 1
    assert first.params != second.params


@case
def attempts_are_limited(store):
    study = launch(store)
    params = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        trial = study.ask()
        assert trial.attempt == attempt
        params.append(trial.params)
        study.interrupt(trial.number, "again")
    assert states(study) == ["FAIL"] * MAX_ATTEMPTS
    assert all(p == params[0] for p in params)
    assert [trial.retry_of for trial in study.trials()] == [None, 0, 1]


@case
def a_trial_has_one_retry(store):
    study = launch(store)
    number = study.ask().number
    study.interrupt(number, "first")
    with pytest.raises(ValueError, match=r"^trial 0 must be running to be ended, it is FAIL$"):
        study.interrupt(number, "second")
    assert states(study) == ["FAIL", "WAITING"]


@case
def a_driver_killed_between_the_retry_and_the_end_leaves_one_retry(store):
    number = launch(store).ask().number
    study = load_optuna_study(store)
    study.enqueue_trial(study.trials[0].params, user_attrs={"attempt": 2, "retry_of": number})
    again = SweepStudy.open(store, NAME)
    assert states(again) == ["RUNNING", "WAITING"]
    again.interrupt(number, "its driver died")
    assert states(again) == ["FAIL", "WAITING"]
    assert again.trials()[1].retry_of == number


@case
def a_search_with_fixed_values_only_can_be_retried(store):
    study = launch(store, search={"steps": 40})
    trial = study.ask()
    study.interrupt(trial.number, "again")
    assert study.trials()[1].params == trial.params == {"steps": 40}
    assert study.ask().attempt == 2


@case
def a_second_driver_is_noticed(store):
    study, other = launch(store), launch(store)
    assert (study.ask().number, study.ask().number) == (0, 1)
    assert other.ask().number == 2
    with pytest.raises(StoreError, match=r"^another driver runs sweep 'small' from the same study storage$"):
        study.ask()


# Launching again


@case
def a_second_launch_continues_with_the_same_trials(store):
    study = launch(store)
    complete(study, study.ask().number)
    number = study.ask().number
    again = launch(store)
    assert again.sweep_id == study.sweep_id
    assert again.trials() == study.trials()
    assert states(again) == ["COMPLETE", "RUNNING"]
    complete(again, number)
    assert study.count("COMPLETE") == 2


@case
def a_second_launch_does_not_repeat_the_samples(store):
    study = launch(store)
    first = [study.ask().params for _ in range(3)]
    second = [launch(store).ask().params for _ in range(3)]
    assert all(params not in first for params in second)


@case
def trials_can_only_be_raised(store):
    spec = launch(store).spec
    with pytest.raises(BadInputError, match=r"^sweep 'small' exists: trials can only be raised from 3, got 2$"):
        launch(store, trials=2)
    assert SweepStudy.open(store, NAME).spec == spec
    assert launch(store, trials=5).spec.trials == 5
    assert SweepStudy.open(store, NAME).spec == spec.model_copy(update={"trials": 5})


@case
def a_spec_is_stored_exactly(store):
    """Any difference from the spec that a storage returns would be refused, and so is one in the smallest digit."""
    launch(store)
    launch(store, search=dict(reversed(SEARCH.items())))  # the order is no difference
    other = SEARCH | {"weight_factor": {"low": 0.0, "high": math.nextafter(4.0, 5.0)}}
    for changes in ({"search": other}, {"seed": 1}, {"constraints": []}, {"description": "x", "trials": 9}):
        with pytest.raises(BadInputError, match=r"^sweep 'small' exists with another spec: .* was .*, is "):
            launch(store, **changes)
        assert SweepStudy.open(store, NAME).spec == make_spec()


@case
def an_unfinished_study_of_a_killed_launch_is_created_again(store):
    optuna.create_study(study_name=NAME, storage=open_storage(store, NAME))
    assert list_sweep_names(store) == []
    with pytest.raises(BadInputError, match=r"^no sweep 'small' in .*; there are: none$"):
        SweepStudy.open(store, NAME)
    study = launch(store)
    complete(study, study.ask().number)
    assert list_sweep_names(store) == [NAME]


@case
def a_study_that_is_not_a_sweep_is_left_alone(store):
    optuna.create_study(study_name=NAME, storage=open_storage(store, NAME)).ask()
    with pytest.raises(BadInputError, match=r"^the storage has a study 'small' that is not a sweep; use another name$"):
        launch(store)
    assert len(load_optuna_study(store).trials) == 1


# Reading


@case
def an_open_study_reads_what_another_writes(store):
    study, reader = launch(store), SweepStudy.open(store, NAME)
    complete(study, study.ask().number)
    assert states(reader) == ["COMPLETE"]
    assert numbers(reader.front()) == [0]


@case
def an_unknown_sweep_is_refused_with_the_known_ones(store):
    launch(store)
    with pytest.raises(BadInputError, match=r"^no sweep 'smal' in .*; there are: small$"):
        SweepStudy.open(store, "smal")


@case
def sweeps_are_listed_in_order(store):
    for name in ("zebra", "ant"):
        launch(store, name=name)
    assert list_sweep_names(store) == ["ant", "zebra"]


@case
def the_front_has_the_feasible_trials_that_none_dominates(store):
    study = launch(store)
    assert study.front() == []
    complete_trials(study, (0.4, 1.0), (0.3, 2.0))
    assert study.front() == []
    complete_trials(study, (0.9, 5.0), (0.8, 4.0), (0.8, 6.0), (0.95, 5.0), (0.9, 4.5), (0.9, 4.5), (0.5, 4.0))
    study.fail(study.ask().number, "x")
    study.ask()
    assert numbers(study.front()) == [3, 5, 6, 7]
    assert [trial.feasible for trial in study.trials()] == [False] * 2 + [True] * 7 + [None] * 2
    assert [(t.number, t.mean) for t in study.known_front()] == [(t.number, t.mean) for t in study.front()]
    assert SweepStudy.open(store, NAME).known_front() == study.front()


@case
def a_constraint_holds_at_its_bound(store):
    for relation in (">=", "<="):
        study = launch(store, name=f"score-{relation == '>='}", constraints=[f"val_score {relation} 0.7"])
        complete_trials(study, (0.7, 1.0), (0.7 + 1e-9, 0.0), (0.7 - 1e-9, 0.0))
        assert [trial.feasible for trial in study.trials()] == [True, relation == ">=", relation == "<="]


@case
def a_single_objective_has_a_front_of_the_best(store):
    for direction, best in (("maximize", [1, 3]), ("minimize", [2])):
        study = launch(store, name=direction, objectives=[{"metric": "val_score", "direction": direction}])
        complete_trials(study, (0.8, 1.0), (0.9, 2.0), (0.7, 3.0), (0.9, 4.0))
        assert numbers(study.front()) == best


@case
def an_analysis_needs_nothing_but_the_storage(store):
    study = launch(store, trials=12)
    complete_trials(study, *((0.1 * n, 3.0 + n % 4) for n in range(12)))
    reader = SweepStudy.open(store, NAME)
    assert list(reader.importances()) == ["val_score", "connection_cost"]
    assert reader.importances() == study.importances()
    growth = reader.hypervolumes()
    assert list(growth) == list(range(12))
    assert [n for n in range(12) if growth[n] > growth.get(n - 1, 0.0)] == [5, 6, 7, 8, 9, 10, 11]  # feasible from 0.5

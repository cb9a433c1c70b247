"""Cases that the study of a sweep passes on every storage; each is called with a new, empty store."""

import math
from collections.abc import Callable
from dataclasses import replace

import optuna
import pytest

from bimt_core import METRICS
from sweeps.errors import BadInputError, StoreError
from sweeps.spec.sweep import parse_spec
from sweeps.store import Store
from sweeps.study.creation import FORMAT
from sweeps.study.samplers import make_distributions, suggest
from sweeps.study.sampling.observation import Observation
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
    {"metric": "val_score", "direction": "maximize", "aggregate": "mean"},
    {"metric": "connection_cost", "direction": "minimize", "aggregate": "mean"},
]

ROW_STDERR = {"val_score": 0.01, "test_score": 0.02}

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


def launch(store, known_starts=(), **changes):
    return SweepStudy.launch(store, make_spec(**changes), known_starts)


def start(study):
    """Starts a trial that waits, or else one of the search with random hyperparameters."""
    for trial in study.start_waiting(1):
        return trial
    space, spec = make_distributions(study.spec), study.spec
    observations = [Observation(trial.params) for trial in study.known_trials() if trial.role == "search"]
    directions = [objective.direction for objective in spec.objectives]
    found = suggest(space, directions, observations, 1, sampler="random", seed=spec.seed, trials=spec.trials)
    return study.start_search(found.params[0], found.sampler)


def make_networks(score=0.9, cost=1.0, replicates=2):
    """Values of equal networks."""
    values = dict.fromkeys(METRICS, 0.0) | {"val_score": score, "connection_cost": cost}
    return {name: [value] * replicates for name, value in values.items()}


def complete(study, number, score=0.9, cost=1.0, replicates=2):
    return study.complete(number, make_networks(score, cost, replicates), ROW_STDERR)


def complete_trials(study, *values):
    """Starts a trial per score and connection cost, and completes it."""
    return [complete(study, start(study).number, score, cost) for score, cost in values]


def states(study):
    return [trial.state for trial in study.trials()]


def numbers(trials):
    return [trial.number for trial in trials]


def load_optuna_study(store):
    """The study as Optuna reads it."""
    return optuna.load_study(study_name=NAME, storage=open_storage(store, NAME))


def without_times(trials):
    return [replace(trial, started=None, ended=None) for trial in trials]


def assert_known(study, store):
    """What a driver knows is what the storage holds."""
    reader = SweepStudy.open(store, NAME)
    assert without_times(study.known_entries()) == without_times(reader.entries())
    assert without_times(study.known_trials()) == without_times(reader.trials())
    assert numbers(study.known_front()) == numbers(reader.front())


# Starting trials and completing them


@case
def a_trial_of_the_search_has_all_hyperparameters(store):
    study = launch(store, seed=5)
    started = start(study)
    assert (started.number, started.attempt, started.role, started.of) == (0, 1, "search", None)
    assert list(started.params) == list(SEARCH)
    (trial,) = study.trials()
    assert trial.params == started.params
    assert (trial.state, trial.attempt, trial.retry_of, trial.values) == ("RUNNING", 1, None, {})
    assert (trial.role, trial.seeds, trial.networks) == ("search", (5, 6), {})
    assert trial.started is not None
    assert trial.ended is None
    assert load_optuna_study(store).trials[0].user_attrs["sampler"] == "random"


@case
def known_starts_are_tried_first_in_their_order(store):
    searched = {name: entry for name, entry in SEARCH.items() if isinstance(entry, dict)}
    known = [{name: entry.get("low", entry.get("choices", [0])[-1]) for name, entry in searched.items()}]
    known.append(known[0] | {"cost_weight": 2e-3, "hidden_width": 9})
    study = launch(store, known)
    assert states(study) == ["WAITING", "WAITING"]
    assert [start(study).params for _ in known] == [
        params | {"steps": 40, "cost_phases": ((0.0, 1.0), (0.5, 2.0))} for params in known
    ]
    third = start(study)
    assert third.number == 2
    assert third.params not in known
    again = launch(store, known[:1])
    assert len(again.trials()) == 3, "only a new study begins with known starts"


@case
def each_variant_is_started_once_and_again_after_an_interruption(store):
    variants = {"vanilla": {"cost_weight": 0.0, "steps": 30}, "BIMT": {"relocation": "greedy"}}
    changes = {"search": {"steps": 40}, "variants": variants, "trials": None}
    study = launch(store, **changes)
    first, second = study.start_waiting()
    assert first.params == {"variant": "vanilla", "steps": 30, "cost_weight": 0.0}
    assert second.params == {"variant": "BIMT", "steps": 40, "relocation": "greedy"}
    assert first.seeds == study.spec.seeds
    assert study.start_waiting() == []
    study.interrupt(first.number, "its driver died")
    again = launch(store, **changes)
    assert [trial.params["variant"] for trial in again.trials()] == ["vanilla", "BIMT", "vanilla"]
    (third,) = again.start_waiting()
    assert (third.params, third.attempt) == (first.params, 2)
    again.fail(third.number, "diverged")
    assert again.start_waiting() == []


@case
def waiting_trials_are_started_up_to_a_number_of_networks(store):
    study = launch(store)
    running = [start(study).number for _ in range(4)]
    for number in running:
        study.interrupt(number, "its driver died")
    assert numbers(study.start_waiting(3)) == [4, 5], "the last may exceed it"
    assert numbers(study.start_waiting(2)) == [6]
    assert study.start_waiting(0) == []
    assert numbers(study.start_waiting()) == [7]


@case
def a_completed_trial_has_the_values_of_its_networks(store):
    objectives = [OBJECTIVES[0] | {"aggregate": "best_quarter"}, OBJECTIVES[1]]
    study = launch(store, objectives=objectives, replicates=5)
    networks = {metric: [0.0, 1.0, 2.0, 3.0, 4.0] for metric in METRICS}
    completed = study.complete(start(study).number, networks, {"val_score": 0.01})
    (trial,) = study.trials()
    for t in (completed, trial):
        assert t.state == "COMPLETE"
        assert t.networks == networks
        assert t.row_stderr == {"val_score": 0.01}
        assert t.values == dict.fromkeys(METRICS, 2.0) | {"val_score": 3.5, "test_score": 3.5}, "the best two of five"
        assert t.stderr["connection_cost"] == pytest.approx(0.5**0.5)
        assert t.feasible is True
        assert t.reason is None
        assert t.ended >= t.started
    assert completed.params == trial.params
    assert load_optuna_study(store).trials[0].values == [3.5, 2.0]
    assert_known(study, store)


@case
def standard_errors_of_a_single_replicate_are_nan(store):
    study = launch(store, replicates=1)
    study.complete(start(study).number, make_networks(replicates=1), ROW_STDERR)
    (trial,) = study.trials()
    assert list(trial.stderr) == list(METRICS)
    assert all(math.isnan(error) for error in trial.stderr.values())


@case
def a_failed_trial_has_its_reason_and_no_retry(store):
    study = launch(store)
    study.fail(start(study).number, "replicate 1 diverged")
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
        number = start(study).number
        ends[first](number)
        before = study.trials()
        for end in ends.values():
            with pytest.raises(ValueError, match=f"^trial {number} must be running to be ended, it is {state}$"):
                end(number)
            assert study.trials() == before


@case
def values_that_are_not_finite_are_refused(store):
    study = launch(store)
    number = start(study).number
    for metric in ("val_score", "connection_cost"):
        for value in (math.nan, math.inf, -math.inf):
            problem = f"the mean of its {metric} is {value}"
            networks = make_networks() | {metric: [0.5, value]}
            assert study.find_unusable(networks) == problem
            with pytest.raises(ValueError, match=f"^a complete trial must be finite: {problem}$"):
                study.complete(number, networks, {})
            assert states(study) == ["RUNNING"]
    assert study.find_unusable(make_networks() | {"modularity": [0.5, math.nan]}) is None, "it decides nothing"
    complete(study, number)
    assert states(study) == ["COMPLETE"]


# Attempts


@case
def an_interrupted_trial_is_repeated_before_any_new_one(store):
    """As `start` does it, and the agenda."""
    study = launch(store)
    first, second = start(study), start(study)
    study.interrupt(second.number, "its worker died")
    assert states(study) == ["RUNNING", "FAIL", "WAITING"]
    waiting = study.trials()[2]
    assert (waiting.params, waiting.attempt, waiting.retry_of) == (second.params, 2, second.number)
    retry = start(study)
    assert (retry.number, retry.params, retry.attempt) == (2, second.params, 2)
    original, repeated = load_optuna_study(store).trials[1:]
    assert (repeated.params, repeated.distributions) == (original.params, original.distributions)
    assert study.trials()[1].reason == "its worker died"
    assert start(study).attempt == 1
    assert first.params != second.params
    assert_known(study, store)


@case
def attempts_are_limited(store):
    study = launch(store)
    params = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        trial = start(study)
        assert trial.attempt == attempt
        params.append(trial.params)
        study.interrupt(trial.number, "again")
    assert states(study) == ["FAIL"] * MAX_ATTEMPTS
    assert all(p == params[0] for p in params)
    assert [trial.retry_of for trial in study.trials()] == [None, 0, 1]


@case
def a_trial_has_one_retry(store):
    study = launch(store)
    number = start(study).number
    study.interrupt(number, "first")
    with pytest.raises(ValueError, match=r"^trial 0 must be running to be ended, it is FAIL$"):
        study.interrupt(number, "second")
    assert states(study) == ["FAIL", "WAITING"]


@case
def a_driver_killed_between_the_retry_and_the_end_leaves_one_retry(store):
    number = start(launch(store)).number
    study = load_optuna_study(store)
    first = study.trials[0]
    attrs = first.user_attrs | {"attempt": 2, "retry_of": number}
    study.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING,
            params=first.params,
            distributions=first.distributions,
            user_attrs=attrs,
        )
    )
    again = SweepStudy.open(store, NAME)
    assert states(again) == ["RUNNING", "WAITING"]
    again.interrupt(number, "its driver died")
    assert states(again) == ["FAIL", "WAITING"]
    assert again.trials()[1].retry_of == number


@case
def a_search_with_fixed_values_only_can_be_retried(store):
    study = launch(store, search={"steps": 40})
    trial = start(study)
    study.interrupt(trial.number, "again")
    assert study.trials()[1].params == trial.params == {"steps": 40}
    assert start(study).attempt == 2


@case
def a_second_driver_is_noticed(store):
    study, other = launch(store), launch(store)
    assert (start(study).number, start(study).number) == (0, 1)
    assert start(other).number == 2
    with pytest.raises(StoreError, match=r"^another driver runs sweep 'small' from the same study storage$"):
        start(study)


@case
def a_second_driver_that_starts_the_same_retry_is_noticed(store):
    study = launch(store)
    study.interrupt(start(study).number, "its worker died")
    other = launch(store)
    assert [trial.state for trial in other.known_entries()] == ["FAIL", "WAITING"]
    assert numbers(study.start_waiting()) == [1]
    with pytest.raises(StoreError, match=r"^another driver runs sweep 'small' from the same study storage$"):
        other.start_waiting()


# Networks that are added to trials


@case
def the_baseline_is_the_published_setting_and_not_of_the_search(store):
    study = launch(store)
    baseline = study.start_networks("baseline", study.spec.seeds)
    assert (baseline.role, baseline.params, baseline.seeds) == ("baseline", study.spec.baseline_params, (0, 1))
    assert (baseline.params["relocation"], baseline.params["steps"]) == ("greedy", 40)
    complete(study, baseline.number, score=0.99, cost=0.1)
    complete_trials(study, (0.9, 5.0))
    assert [trial.role for trial in study.trials()] == ["baseline", "search"]
    assert numbers(study.front()) == [1], "the baseline dominates, but is no result of the search"
    assert (study.count("COMPLETE"), study.count("COMPLETE", "baseline")) == (1, 1)
    assert_known(study, store)


@case
def further_replicates_count_like_the_first(store):
    study = launch(store, max_replicates=6)
    complete_trials(study, (0.9, 1.0), (0.6, 0.5))
    added = study.start_networks("replicates", (2, 3), 0)
    assert (added.number, added.of, added.params) == (2, 0, study.trials()[0].params)
    pooled = complete(study, added.number, score=0.3, cost=4.0)
    assert (pooled.number, pooled.seeds, pooled.values["val_score"]) == (0, (0, 1, 2, 3), pytest.approx(0.6))
    assert pooled.networks["connection_cost"] == [1.0, 1.0, 4.0, 4.0]
    assert [trial.values["connection_cost"] for trial in study.trials()] == [2.5, 0.5]
    assert numbers(study.front()) == [1], "it is dominated with all its networks"
    own = study.entries()[0]
    assert (own.seeds, own.values["val_score"]) == ((0, 1), 0.9), "each entry keeps its own networks"
    assert study.count("COMPLETE") == 2
    assert_known(study, store)


@case
def further_replicates_may_make_a_trial_infeasible(store):
    study = launch(store, max_replicates=6)
    complete_trials(study, (0.6, 1.0))
    assert numbers(study.front()) == [0]
    complete(study, study.start_networks("replicates", (2, 3), 0).number, score=0.2)
    assert study.front() == []
    assert [trial.feasible for trial in study.trials()] == [False]
    assert_known(study, store)


@case
def confirmations_are_kept_apart_by_the_seed_of_their_data(store):
    study = launch(store)
    complete_trials(study, (0.9, 1.0))
    for seeds, data_seed, score in (((2, 3), None, 0.8), ((4, 5), None, 0.6), ((2, 3), 7, 0.1)):
        entry = study.start_networks("confirmation", seeds, 0, data_seed)
        assert (entry.of, entry.seeds, entry.data_seed) == (0, seeds, data_seed)
        trial = complete(study, entry.number, score=score)
        assert (trial.number, trial.values["val_score"], trial.seeds) == (0, 0.9, (0, 1))
    assert_known(study, store)
    (trial,) = study.trials()
    assert set(trial.confirmations) == {None, 7}
    assert trial.confirmed.seeds == (2, 3, 4, 5)
    assert trial.confirmed.values["val_score"] == pytest.approx(0.7)
    assert trial.confirmations[7].values["val_score"] == pytest.approx(0.1)
    assert trial.confirmed.networks["val_score"] == [0.8, 0.8, 0.6, 0.6]


@case
def retries_keep_everything_that_they_are_for(store):
    study = launch(store, max_replicates=6)
    complete_trials(study, (0.9, 1.0))
    started = [
        study.start_networks("baseline", (0, 1)),
        study.start_networks("replicates", (2, 3), 0),
        study.start_networks("confirmation", (6, 7, 8), 0, 7),
        start(study),
    ]
    for trial in started:
        study.interrupt(trial.number, "its driver died")
    assert_known(study, store)
    again = launch(store, max_replicates=6)
    assert numbers(again.start_waiting(roles=("search",))) == [8]
    assert numbers(again.start_waiting(roles=("baseline", "confirmation"))) == [5, 7]
    assert numbers(again.start_waiting()) == [6]
    for before, retry in zip(started, again.known_entries()[5:], strict=True):
        assert (retry.state, retry.attempt, retry.retry_of) == ("RUNNING", 2, before.number)
        for name in ("role", "of", "seeds", "data_seed", "params"):
            assert getattr(retry, name) == getattr(before, name), name
    assert_known(again, store)


@case
def a_confirmation_of_which_a_part_failed_has_the_other_networks(store):
    study = launch(store)
    complete_trials(study, (0.9, 1.0))
    failed = [study.start_networks("confirmation", seeds, 0) for seeds in ((2, 3), (4, 5))]
    study.fail(failed[0].number, "network 0 diverged")
    assert study.trials()[0].confirmed is None
    assert study.trials()[0].confirmations[None].failures == ("network 0 diverged",)
    trial = complete(study, failed[1].number, score=0.7)
    assert (trial.confirmed.seeds, trial.confirmed.failures) == ((4, 5), ("network 0 diverged",))
    assert_known(study, store)


@case
def checks_of_the_front_are_kept(store):
    study = launch(store)
    assert study.checks == []
    study.record_check([3, 1])
    study.record_check([])
    assert study.checks == SweepStudy.open(store, NAME).checks == launch(store).checks == [[3, 1], []]


# Launching again


@case
def a_second_launch_continues_with_the_same_trials(store):
    study = launch(store)
    complete(study, start(study).number)
    number = start(study).number
    again = launch(store)
    assert again.sweep_id == study.sweep_id
    assert again.trials() == study.trials()
    assert states(again) == ["COMPLETE", "RUNNING"]
    complete(again, number)
    assert again.count("COMPLETE") == 2
    assert states(study) == ["COMPLETE", "COMPLETE"]


@case
def a_second_launch_does_not_repeat_the_samples(store):
    study = launch(store)
    first = [start(study).params for _ in range(3)]
    second = [start(launch(store)).params for _ in range(3)]
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
def the_confirmation_may_change(store):
    study = launch(store)
    assert launch(store, confirm={"replicates": 4}).spec.confirm.replicates == 4
    assert SweepStudy.open(store, NAME).spec.confirm.replicates == 4
    assert launch(store).spec == study.spec


@case
def a_sweep_of_an_older_version_is_refused(store):
    """Its trials have other metrics, so nothing could read them."""
    study = launch(store)
    older = optuna.create_study(study_name="older", storage=open_storage(store, "older"), directions=["minimize"] * 2)
    older.set_user_attr("sweep_id", "x")
    older.set_user_attr("spec", study.spec.model_dump(mode="json"))
    message = (
        r"^sweep 'older' is of an older version of bimt-sweeps \(0\.2 or earlier\): read it with that version, or "
    )
    with pytest.raises(BadInputError, match=message):
        SweepStudy.open(store, "older")
    with pytest.raises(BadInputError, match=message):
        launch(store, name="older")
    assert load_optuna_study(store).user_attrs["format"] == FORMAT


@case
def a_spec_is_stored_exactly(store):
    """Any difference from the spec that a storage returns would be refused, and so is one in the smallest digit."""
    launch(store)
    launch(store, search=dict(reversed(SEARCH.items())))  # the order is no difference
    other = SEARCH | {"weight_factor": {"low": 0.0, "high": math.nextafter(4.0, 5.0)}}
    start_from = [{"weight_factor": 1, "hidden_width": 4, "relocate_every": 100, "layer_distance": 0.5}]
    different = (
        {"search": other},
        {"seed": 1},
        {"constraints": []},
        {"description": "x", "trials": 9},
        {"start_from": start_from},
        {"max_replicates": 4, "confirm": {"replicates": 4}},
        {"published": True},
        {"objectives": [OBJECTIVES[0] | {"aggregate": "median"}, OBJECTIVES[1]]},
    )
    for changes in different:
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
    complete(study, start(study).number)
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
    complete(study, start(study).number)
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
    study.fail(start(study).number, "x")
    start(study)
    assert numbers(study.front()) == [3, 5, 6, 7]
    assert [trial.feasible for trial in study.trials()] == [False] * 2 + [True] * 7 + [None] * 2
    assert_known(study, store)


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

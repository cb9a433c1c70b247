import pytest
from support.study_cases import complete, make_spec

from bimt_core import load_task
from sweeps.errors import BadInputError
from sweeps.study.known_starts import find_known_starts
from sweeps.study.study import SweepStudy

COST_WEIGHT = {"low": 1e-4, "high": 1e-2, "log": True}
SPACE = {"cost_weight": COST_WEIGHT, "weight_factor": {"low": 0.0, "high": 4.0}}
POINTS = [(1e-3, 1.0, 0.9, 5.0), (2e-3, 3.0, 0.8, 4.0), (5e-3, 2.0, 0.4, 9.0)]  # the last one is infeasible


def spec_of(search=SPACE, trials=9, **changes):
    return make_spec(search=search, trials=trials, **changes)


@pytest.fixture
def other(store):
    """A finished sweep "other" with two trials on the front."""

    def create(points=POINTS, **changes):
        study = SweepStudy.launch(store, spec_of(name="other", **changes))
        for cost_weight, weight_factor, score, cost in points:
            searched = {"cost_weight": cost_weight, "weight_factor": weight_factor}
            params = {name: searched[name] for name in study.spec.searched}
            complete(study, study.start_search(params, "random").number, score, cost)
        return study

    return create


def problem_of(spec, store):
    with pytest.raises(BadInputError) as caught:
        find_known_starts(spec, store)
    (line,) = caught.value.problems
    return line


def test_a_sweep_without_known_starts_has_none(store):
    assert find_known_starts(spec_of(), store) == []


def test_given_configurations_are_completed_and_at_most_the_trials(store):
    given = [{"weight_factor": 0.5}, {"cost_weight": 1e-4, "weight_factor": 4.0}, {}]
    published = load_task("two_moons").per_network
    found = [
        {"cost_weight": published.cost_weight, "weight_factor": 0.5},
        {"cost_weight": 1e-4, "weight_factor": 4.0},
        {"cost_weight": published.cost_weight, "weight_factor": published.weight_factor},
    ]
    assert find_known_starts(spec_of(start_from=given), store) == found
    assert find_known_starts(spec_of(start_from=given, trials=2), store) == found[:2]


def test_the_front_of_another_sweep_is_taken_in_order_of_number(store, other, caplog):
    other()
    found = [{"cost_weight": cost_weight, "weight_factor": factor} for cost_weight, factor, *_ in POINTS[:2]]
    assert find_known_starts(spec_of(start_from="other"), store) == found
    assert find_known_starts(spec_of(start_from="other", trials=1), store) == found[:1]
    assert caplog.messages == [], "there is nothing to tell"
    study = SweepStudy.launch(store, spec_of(start_from="other"), found)
    assert [trial.params for trial in study.start_waiting()] == found


def test_what_differs_from_the_other_sweep_is_told(store, other, caplog):
    other(search=SPACE | {"steps": 40, "batch_size": 100})
    fixed = {"cost_weight": COST_WEIGHT, "steps": 80, "learning_rate": 0.01, "weight_factor": 1.0}
    spec = spec_of(task="independence", search=fixed, constraints=None, start_from="other")
    assert find_known_starts(spec, store) == [{"cost_weight": 1e-3}, {"cost_weight": 2e-3}]
    assert caplog.messages == [
        "start_from other: its task is two_moons, this one's independence",
        "start_from other: its weight_factor is not searched here",
        "start_from other: its batch_size is 100, here it is published",
        "start_from other: its learning_rate is published, here it is 0.01",
        "start_from other: its steps is 40, here it is 80",
    ]


def test_configurations_outside_of_the_space_are_left_out_and_told(store, other, caplog):
    other()
    spec = spec_of(search=SPACE | {"weight_factor": {"low": 0.0, "high": 2.0}}, start_from="other")
    assert find_known_starts(spec, store) == [{"cost_weight": 1e-3, "weight_factor": 1.0}]
    assert caplog.messages == [
        "trial 1 is left out: start_from 'other': weight_factor must be in 0 to 2, got 3.0",
    ]


def test_a_fixed_value_of_the_other_sweep_may_be_searched_here(store, other):
    other(search={"cost_weight": COST_WEIGHT, "weight_factor": 0.5})
    found = [{"cost_weight": cost_weight, "weight_factor": 0.5} for cost_weight in (1e-3, 2e-3)]
    assert find_known_starts(spec_of(start_from="other"), store) == found


def test_variants_of_another_sweep_have_what_they_were_trained_with(store):
    """A variant that does not set a hyperparameter has its default."""
    variants = {"vanilla": {"cost_weight": 2e-4}, "BIMT": {"relocation": "greedy"}}
    study = SweepStudy.launch(store, make_spec(name="other", search={}, variants=variants, trials=None))
    for trial, score, cost in zip(study.start_waiting(), (0.9, 0.8), (2.0, 1.0), strict=True):
        complete(study, trial.number, score, cost)
    search = {"cost_weight": COST_WEIGHT, "relocation": {"choices": ["greedy", "assignment"]}}
    assert find_known_starts(spec_of(search=search, start_from="other"), store) == [
        {"cost_weight": 2e-4, "relocation": "assignment"},
        {"cost_weight": load_task("two_moons").per_network.cost_weight, "relocation": "greedy"},
    ]


def test_a_sweep_that_does_not_exist_is_refused_with_the_known_ones(store, other):
    other()
    assert problem_of(spec_of(start_from="othr"), store) == f"no sweep 'othr' in {store.folder}; there are: other"


def test_a_sweep_that_was_launched_before_needs_the_other_one_no_more(store, other):
    other()
    spec = spec_of(start_from="other")
    SweepStudy.launch(store, spec, find_known_starts(spec, store))
    store.study_file("other").unlink()
    assert find_known_starts(spec, store) == []
    assert len(SweepStudy.launch(store, spec).start_waiting()) == 2


def test_a_sweep_over_other_hyperparameters_is_refused(store, other):
    other()
    search = SPACE | {"hidden_width": {"low": 4, "high": 9}, "learning_rate": {"low": 0.1, "high": 0.2}}
    assert problem_of(spec_of(search=search, start_from="other"), store) == (
        "start_from 'other' must be a sweep over the same hyperparameters: it has no hidden_width, learning_rate"
    )


def test_a_sweep_without_a_front_is_refused(store, other):
    other(POINTS[2:])
    assert problem_of(spec_of(start_from="other"), store) == (
        "start_from 'other' must be a sweep with a front, it has none yet"
    )


def test_a_front_outside_of_the_space_is_refused(store, other):
    other()
    search = SPACE | {"cost_weight": {"low": 1.0, "high": 2.0}}
    assert problem_of(spec_of(search=search, start_from="other"), store) == (
        "start_from 'other' must have a front in this search space, none of its 2 trials is"
    )

import optuna
import pytest
from optuna.storages import InMemoryStorage
from support.study_cases import OBJECTIVES, SEARCH, make_spec

from sweeps.errors import BadInputError
from sweeps.spec.sweep import SweepSpec
from sweeps.study.creation import FORMAT, check_is_current, check_same_sweep, load_or_create_study
from sweeps.study.samplers import make_distributions


@pytest.fixture
def storage():
    return InMemoryStorage()


def test_a_new_study_has_the_directions_the_spec_and_an_id(storage):
    spec = make_spec()
    study = load_or_create_study(storage, spec, [])
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert SweepSpec.model_validate(study.user_attrs["spec"]) == spec
    assert len(study.user_attrs["sweep_id"]) == 12
    assert study.user_attrs["format"] == FORMAT
    assert study.trials == []


def test_the_variants_of_a_new_study_wait_in_order(storage):
    variants = {"b": {"cost_weight": 0.0}, "a": {}}
    study = load_or_create_study(storage, make_spec(search={"steps": 40}, variants=variants, trials=None), [])
    assert [(t.state.name, t.params, t.user_attrs) for t in study.trials] == [
        ("WAITING", {"variant": variant}, {"role": "search", "seeds": [0, 1]}) for variant in "ba"
    ]


def test_known_starts_of_a_new_study_wait_in_order(storage):
    search = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "relocation": {"choices": ["none", "greedy"]}}
    starts = [{"cost_weight": 1e-3, "relocation": "greedy"}, {"cost_weight": 1e-2, "relocation": "none"}]
    study = load_or_create_study(storage, make_spec(search=search, seed=3), starts)
    assert [(t.state.name, t.params, t.user_attrs) for t in study.trials] == [
        ("WAITING", start, {"role": "search", "seeds": [3, 4]}) for start in starts
    ]
    assert study.trials[0].distributions == make_distributions(make_spec(search=search))
    again = load_or_create_study(storage, make_spec(search=search, seed=3), starts)
    assert len(again.trials) == 2


def test_an_existing_study_is_loaded(storage):
    first = load_or_create_study(storage, make_spec(), [])
    first.ask()
    second = load_or_create_study(storage, make_spec(trials=9), [])
    assert second.user_attrs == first.user_attrs
    assert len(second.trials) == 1


def test_every_sweep_has_an_id_of_its_own(storage):
    ids = {load_or_create_study(storage, make_spec(name=name), []).user_attrs["sweep_id"] for name in "abc"}
    assert len(ids) == 3


def test_an_unfinished_study_is_created_again(storage):
    optuna.create_study(study_name="small", storage=storage)  # of another direction
    study = load_or_create_study(storage, make_spec(), [])
    assert len(study.directions) == 2
    assert "spec" in study.user_attrs


def test_a_study_whose_launch_was_killed_while_it_added_variants_is_created_again(storage, monkeypatch):
    variants = {"vanilla": {"cost_weight": 0.0}, "BIMT": {}}
    spec = make_spec(search={"steps": 40}, variants=variants, trials=None)
    added = []

    def die(self, trial):
        if added:
            raise KeyboardInterrupt
        added.append(add(self, trial))

    with monkeypatch.context() as killed:
        add = optuna.Study.add_trial
        killed.setattr(optuna.Study, "add_trial", die)
        with pytest.raises(KeyboardInterrupt):
            load_or_create_study(storage, spec, [])
    assert len(optuna.load_study(study_name="small", storage=storage).trials) == 1
    study = load_or_create_study(storage, spec, [])
    assert [trial.params["variant"] for trial in study.trials] == ["vanilla", "BIMT"]


def test_a_study_that_is_not_a_sweep_is_refused(storage):
    optuna.create_study(study_name="small", storage=storage).ask()
    with pytest.raises(BadInputError, match=r"^the storage has a study 'small' that is not a sweep; use another name$"):
        load_or_create_study(storage, make_spec(), [])
    assert len(optuna.load_study(study_name="small", storage=storage).trials) == 1


def test_a_sweep_of_another_format_is_refused_and_kept(storage):
    study = load_or_create_study(storage, make_spec(), [])
    for other in (1, FORMAT + 1):
        study.set_user_attr("format", other)
        with pytest.raises(BadInputError, match=r"^sweep 'small' is of an older version of bimt-sweeps ") as caught:
            load_or_create_study(storage, make_spec(), [])
        assert "\n" not in str(caught.value)
    study.set_user_attr("format", FORMAT)
    check_is_current(study)
    check_is_current(optuna.create_study())  # which is no sweep
    assert load_or_create_study(storage, make_spec(), []).user_attrs == study.user_attrs


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"trials": 4},
        {"confirm": {"replicates": 4}},
        {"trials": 9, "confirm": {"replicates": 2}},
        {"search": dict(reversed(SEARCH.items()))},
    ],
)
def test_the_same_sweep_may_be_launched_again_with_more_trials_or_another_confirmation(storage, changes):
    check_same_sweep(load_or_create_study(storage, make_spec(), []), make_spec(**changes))


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"seed": 1}, "seed was 0, is 1"),
        ({"task": "independence"}, "task was 'two_moons', is 'independence'"),
        ({"replicates": 4}, "replicates was 2, is 4"),
        ({"published": True, "max_replicates": 4}, "published was False, is True; max_replicates was None, is 4"),
        ({"start_from": "another"}, "start_from was [], is 'another'"),
        (
            {"confirm": {}, "stop_when": {"trials": 8}},
            "stop_when was None, is {'trials': 8, 'gain': 0.01}",
        ),
        ({"description": "x", "sampler": "tpe"}, "description was '', is 'x'; sampler was 'random', is 'tpe'"),
        ({"constraints": []}, "constraints was [{'metric': 'val_score', 'relation': '>=', 'bound': 0.5}], is []"),
        ({"objectives": OBJECTIVES[:1]}, f"objectives was {OBJECTIVES}, is {OBJECTIVES[:1]}"),
        (
            {"search": {"weight_factor": {"low": 0.0, "high": 5.0}}},
            "search was {'weight_factor': {'low': 0.0, 'high': 4.0, 'log': False, 'step': None}},"
            " is {'weight_factor': {'low': 0.0, 'high': 5.0, 'log': False, 'step': None}}",
        ),
    ],
)
def test_any_other_change_is_refused_with_the_difference(storage, changes, difference):
    before = {"search": {"weight_factor": SEARCH["weight_factor"]}} if "search" in changes else {}
    study = load_or_create_study(storage, make_spec(**before), [])
    with pytest.raises(BadInputError) as caught:
        check_same_sweep(study, make_spec(**changes | {"trials": 9}))
    assert str(caught.value) == f"sweep 'small' exists with another spec: {difference}; use another name"


def test_fewer_trials_are_refused(storage):
    study = load_or_create_study(storage, make_spec(), [])
    with pytest.raises(BadInputError, match=r"^sweep 'small' exists: trials can only be raised from 3, got 2$"):
        check_same_sweep(study, make_spec(trials=2))

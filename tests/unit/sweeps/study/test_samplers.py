import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler
from support.study_cases import SEARCH, complete, launch, load_optuna_study, make_spec

from sweeps.study.samplers import copy_to_memory, make_distributions

SAMPLERS = {"tpe": TPESampler, "nsga2": NSGAIISampler, "random": RandomSampler}


def test_every_searched_hyperparameter_has_a_distribution():
    assert make_distributions(make_spec()) == {
        "cost_weight": FloatDistribution(1e-4, 1e-2, log=True),
        "weight_factor": FloatDistribution(0.0, 4.0),
        "layer_distance": FloatDistribution(0.1, 0.5, step=0.1),
        "relocate_every": IntDistribution(50, 500, step=50),
        "hidden_width": IntDistribution(4, 64, log=True),
        "relocation": CategoricalDistribution(("none", "greedy")),
        "move_moments": CategoricalDistribution((True, False)),
    }


def test_variants_are_one_choice():
    spec = make_spec(search={"steps": 40}, variants={"b": {"cost_weight": 0.0}, "a": {}}, trials=None)
    assert make_distributions(spec) == {"variant": CategoricalDistribution(("b", "a"))}
    assert make_distributions(make_spec(search={"steps": 40})) == {}


def test_samples_have_the_type_and_range_of_their_hyperparameter(store):
    study = launch(store)
    params = [study.ask().params for _ in range(30)]
    for name in ("cost_weight", "weight_factor", "layer_distance"):
        assert all(type(p[name]) is float and SEARCH[name]["low"] <= p[name] <= SEARCH[name]["high"] for p in params)
    assert {round(p["layer_distance"] * 10, 9) for p in params} <= {1, 2, 3, 4, 5}
    assert all(type(p["relocate_every"]) is int and p["relocate_every"] in range(50, 501, 50) for p in params)
    assert all(type(p["hidden_width"]) is int and 4 <= p["hidden_width"] <= 64 for p in params)
    assert sum(p["hidden_width"] < 34 for p in params) > 15  # most of a log range is in its lower half
    assert {p["relocation"] for p in params} == {"none", "greedy"}
    assert {repr(p["move_moments"]) for p in params} == {"True", "False"}
    assert all(p["steps"] == 40 and p["cost_phases"] == ((0.0, 1.0), (0.5, 2.0)) for p in params)


def test_equal_seeds_give_equal_samples(store):
    def ask(name, seed):
        study = launch(store, name=name, seed=seed)
        return [study.ask().params for _ in range(3)]

    assert ask("a", 1) == ask("b", 1) != ask("c", 2)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_continues_after_its_first_random_trials(store, name):
    study = launch(store, sampler=name)
    for n in range(14):
        complete(study, study.ask().number, score=n / 14, cost=14.0 - n)
    assert study.ask().number == 14
    copied = copy_to_memory(load_optuna_study(store), study.spec)
    assert type(copied.sampler) is SAMPLERS[name]


def test_the_copy_has_what_a_sampler_and_the_driver_read(store):
    study = launch(store)
    complete(study, study.ask().number, score=0.4)
    study.interrupt(study.ask().number, "its worker died")
    durable = load_optuna_study(store)
    copied = copy_to_memory(durable, study.spec)
    assert copied.directions == durable.directions
    for copy, original in zip(copied.trials, durable.trials, strict=True):
        assert (copy.state, copy.params, copy.distributions) == (
            original.state,
            original.params,
            original.distributions,
        )
        assert (copy.values, copy.constraints) == (original.values, original.constraints)
    assert [trial.user_attrs for trial in copied.trials] == [{}, {}, {"attempt": 2, "retry_of": 1}]
    assert sorted(durable.trials[0].user_attrs) == ["metrics"], "the durable study has not changed"
    copied.ask()
    assert len(load_optuna_study(store).trials) == 3


def test_the_samples_depend_on_the_number_of_trials_before():
    spec, studies = make_spec(), [optuna.create_study(directions=["maximize", "minimize"]) for _ in range(2)]
    studies[1].add_trial(optuna.create_trial(state=optuna.trial.TrialState.FAIL))
    first, second = (copy_to_memory(study, spec).ask(make_distributions(spec)).params for study in studies)
    assert first != second
    later = spec.model_copy(update={"seed": spec.seed + 1})
    assert copy_to_memory(studies[0], later).ask(make_distributions(spec)).params == second

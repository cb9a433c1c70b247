import optuna
import pytest
from support.study_cases import complete, launch, start, states

from sweeps.errors import BadInputError, StoreError
from sweeps.store import Store
from sweeps.study.storage import drop_torn_line, is_sweep, list_sweep_names, open_storage, redact_url
from sweeps.study.study import SweepStudy


def test_every_sweep_has_a_journal_file(store):
    for name in ("a", "b"):
        launch(store, name=name)
        assert optuna.get_all_study_names(open_storage(store, name)) == [name]
    assert store.study_file("a") != store.study_file("b")


def test_a_store_without_sweeps_stays_empty(tmp_path):
    assert list_sweep_names(Store(tmp_path)) == []
    with pytest.raises(BadInputError, match=rf"^no sweep 'small' in {tmp_path}; there are: none$"):
        SweepStudy.open(Store(tmp_path), "small")
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_a_sweep_once_it_has_its_spec():
    study = optuna.create_study()
    assert not is_sweep(study)
    study.set_user_attr("sweep_id", "x")
    assert not is_sweep(study)
    study.set_user_attr("spec", {})
    assert is_sweep(study)


def test_a_damaged_journal_is_reported(store):
    complete_one_trial(store)
    path = store.study_file("small")
    path.write_text("no journal\n" + path.read_text())
    for use in (lambda: launch(store), lambda: SweepStudy.open(store, "small"), lambda: list_sweep_names(store)):
        with pytest.raises(StoreError, match=f"^cannot open the study storage {path}: Expecting value"):
            use()


def test_a_launch_drops_a_torn_last_line(store):
    complete_one_trial(store)
    with store.study_file("small").open("a") as file:
        file.write('{"op_code": 4, "worker_')
    study = launch(store)
    complete(study, start(study).number)
    assert states(SweepStudy.open(store, "small")) == ["COMPLETE", "COMPLETE"]


@pytest.mark.parametrize(
    ("content", "kept"),
    [(b"", b""), (b"ab", b""), (b"a\n", b"a\n"), (b"a\nb\n", b"a\nb\n"), (b"a\nb\nc", b"a\nb\n")],
)
def test_only_a_torn_last_line_is_dropped(tmp_path, content, kept):
    path = tmp_path / "x.journal"
    path.write_bytes(content)
    drop_torn_line(path)
    assert path.read_bytes() == kept


def test_a_journal_that_does_not_exist_is_not_created(tmp_path):
    drop_torn_line(tmp_path / "x.journal")
    assert not (tmp_path / "x.journal").exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///folder/study.db", "sqlite:///folder/study.db"),
        ("postgresql://me@host:5432/x", "postgresql://me@host:5432/x"),
        ("postgresql://me:secret@host/x?sslpassword=secret", "postgresql://me:***@host/x"),
        ("mysql+pymysql://me:se%2Fcret@host/x", "mysql+pymysql://me:***@host/x"),
    ],
)
def test_passwords_and_options_of_a_url_are_not_shown(url, shown):
    assert redact_url(url) == shown


@pytest.mark.parametrize("url", ["nonsense", "", "postgresql://me:secret@host:port/x"])
def test_an_invalid_url_is_refused_without_showing_it(url):
    with pytest.raises(BadInputError, match=r"^the study storage must be a URL such as sqlite:///") as caught:
        redact_url(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__, "the hidden error may quote a part of a password"


def complete_one_trial(store):
    study = launch(store)
    complete(study, start(study).number)

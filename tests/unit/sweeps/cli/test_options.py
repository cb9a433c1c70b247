from pathlib import Path

import pytest

from sweeps.cli.options import Location, load_specs
from sweeps.errors import BadInputError

ADDRESS = "http://127.0.0.1:9"  # nobody listens there


def test_a_folder_means_this_machine_even_with_an_address_in_the_environment(monkeypatch, tmp_path):
    assert Location().service() is None
    monkeypatch.setenv("BIMT_ADDRESS", ADDRESS)
    assert Location(tmp_path).service() is None
    assert Location().service() is not None


def test_an_address_and_a_folder_exclude_each_other(tmp_path):
    with pytest.raises(BadInputError, match="give either --address, for a cluster, or --store"):
        Location(tmp_path, address=ADDRESS).service()


def test_results_of_this_machine_are_in_its_store(tmp_path):
    assert Location(tmp_path).results(files=True) == Location(tmp_path).store()


def test_results_of_a_cluster_need_its_storage_and_for_files_its_mlflow():
    with pytest.raises(BadInputError, match="results are in the cluster's study storage: set BIMT_STORAGE"):
        Location(address=ADDRESS).results()
    assert Location(storage="sqlite:///x.db", address=ADDRESS).results().storage == "sqlite:///x.db"
    with pytest.raises(BadInputError, match="weights and pictures are in the cluster's MLflow: set MLFLOW_TRACKING"):
        Location(storage="sqlite:///x.db", address=ADDRESS).results(files=True)


def test_a_file_of_the_name_of_a_preset_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_specs("two_moons")[0].trials > 3
    assert load_specs("two_moons", trials=3)[0].trials == 3
    Path("two_moons").write_text("name: mine")
    with pytest.raises(BadInputError, match=r"^two_moons: "):
        load_specs("two_moons")

from pathlib import Path

import pytest

from sweeps.cli.options import connect_service, load_specs, resolve_results, resolve_store
from sweeps.errors import BadInputError

ADDRESS = "http://127.0.0.1:9"  # nobody listens there


def test_a_folder_means_this_machine_even_with_an_address_in_the_environment(monkeypatch, tmp_path):
    assert connect_service(None, None) is None
    monkeypatch.setenv("BIMT_ADDRESS", ADDRESS)
    assert connect_service(None, tmp_path) is None
    assert connect_service(None, None) is not None


def test_an_address_and_a_folder_exclude_each_other(tmp_path):
    with pytest.raises(BadInputError, match="give either --address, for a cluster, or --store"):
        connect_service(ADDRESS, tmp_path)


def test_results_of_this_machine_are_in_its_store(tmp_path):
    assert resolve_results(tmp_path, None, None, None, files=True) == resolve_store(tmp_path)


def test_results_of_a_cluster_need_its_storage_and_for_files_its_mlflow():
    with pytest.raises(BadInputError, match="results are in the cluster's study storage: set BIMT_STORAGE"):
        resolve_results(None, None, None, ADDRESS)
    assert resolve_results(None, "sqlite:///x.db", None, ADDRESS).storage == "sqlite:///x.db"
    with pytest.raises(BadInputError, match="weights and pictures are in the cluster's MLflow: set MLFLOW_TRACKING"):
        resolve_results(None, "sqlite:///x.db", None, ADDRESS, files=True)


def test_a_file_of_the_name_of_a_preset_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_specs("two_moons")[0].trials > 3
    assert load_specs("two_moons", trials=3)[0].trials == 3
    Path("two_moons").write_text("name: mine")
    with pytest.raises(BadInputError, match=r"^two_moons: "):
        load_specs("two_moons")

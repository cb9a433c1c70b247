import pytest
import yaml

from bimt_core import TASKS
from sweeps.spec.files import preset_names, preset_path, read_specs
from sweeps.spec.sweep import parse_spec


def write(folder, data):
    path = folder / "my sweep.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_tasks_are_listed(bimt, bimt_json):
    rows = bimt_json("tasks")
    assert [row["task"] for row in rows] == list(TASKS)
    assert rows[list(TASKS).index("two_moons")]["network"].startswith("2-")
    code, out, errors = bimt("tasks")
    assert (code, errors) == (0, [])
    assert all(name in out for name in TASKS)


def test_a_task_without_its_data_is_listed_with_the_reason(bimt, bimt_json, monkeypatch, tmp_path):
    monkeypatch.delenv("BIMT_MNIST", raising=False)
    row = bimt_json("tasks")[list(TASKS).index("mnist")]
    assert row["description"].startswith("not available: the files train-images-idx3-ubyte, ")
    assert str(tmp_path / "data" / "mnist") in row["description"]
    assert {row[key] for key in ("network", "score", "steps", "cost_weight")} == {None}
    code, out, errors = bimt("tasks")
    assert (code, errors) == (0, [])
    assert "not available" in out
    assert "None" not in out


def test_presets_are_listed(bimt, bimt_json):
    rows = bimt_json("presets")
    assert [row["preset"] for row in rows] == preset_names()
    assert {row["objectives"] for row in rows} >= {"minimize val_loss, minimize connection_cost"}
    out = bimt("presets")[1]
    assert all(name in out for name in preset_names())


def test_presets_are_printed_with_all_defaults(bimt, bimt_json):
    for name in preset_names():
        specs = read_specs(preset_path(name))
        data = bimt_json("validate", name)
        assert [parse_spec(one) for one in (data if len(specs) > 1 else [data])] == specs, name
    code, out, errors = bimt("validate", "paper_ablation")
    assert (code, errors) == (0, [])
    assert "published: true" in out
    assert [parse_spec(one) for one in yaml.safe_load_all(out)] == read_specs(preset_path("paper_ablation"))


def test_a_file_is_checked(bimt_json, tmp_path, small):
    assert bimt_json("validate", write(tmp_path, small(seed=3)))["seed"] == 3


def test_each_problem_of_a_file_has_a_line(bimt, tmp_path, small):
    path = write(tmp_path, small(name="../x", trials=0, colour=1))
    code, out, errors = bimt("validate", path)
    assert (code, out) == (2, "")
    assert [line.removeprefix(f"bimt: {path}: ").split(" ")[0] for line in errors] == ["name:", "trials:", "unknown"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none", "'none' is neither a file nor a preset; presets are"),
        ("none.yaml", "cannot read none.yaml: No such file or directory"),
    ],
)
def test_a_source_that_does_not_exist_is_refused(bimt, source, message):
    code, out, (line,) = bimt("validate", source)
    assert (code, out) == (2, "")
    assert line.startswith(f"bimt: {message}")


def test_numbers_of_workers_must_be_whole(bimt):
    assert bimt("plan", "two_moons", "--workers", "1,many")[2] == [
        "bimt: workers must be whole numbers such as 1,8,64, got '1,many'"
    ]

import pytest
import yaml

from bimt_core import TASKS
from sweeps.errors import BadInputError
from sweeps.spec.files import preset_names, preset_path, read_spec, read_specs
from sweeps.spec.parts import Confirm, StopWhen
from sweeps.spec.search_space import Choices, Fixed, Range
from sweeps.spec.sweep import parse_spec

SUITES = ["paper_ablation"]

EVERY_KIND = """
name: every-kind
task: two_moons
search:
  weight_factor: {low: 0, high: 4}
  cost_weight: {low: 1e-4, high: 1.0e-2, log: true}
  layer_distance: {low: 0.1, high: 0.5, step: 0.1}
  relocate_every: {low: 50, high: 500, step: 50}
  hidden_width: {low: 4, high: 64, log: true}
  relocation: {choices: [none, greedy, assignment]}
  move_moments: {choices: [true, false]}
  learning_rate: {choices: [1e-3, 0.01]}
  steps: 2000
  bias_from: 5e-1
  local_last: {value: false}
  cost_phases: [[0, 1], [0.25, 10]]
objectives:
  - {metric: val_loss, direction: minimize, aggregate: median}
  - {metric: connection_cost, direction: minimize}
constraints: ["val_score >= 0.9", "active_weights<=1e2"]
trials: 3
start_from:
  - {weight_factor: 2, cost_weight: "1e-3", layer_distance: 0.3, relocate_every: 100, hidden_width: 9,
     learning_rate: 0.01, move_moments: false}
confirm: {replicates: 8}
stop_when: {trials: 8}
max_replicates: 8
resources: {cpus: 2}
"""


@pytest.fixture
def write(tmp_path):
    """Writes data as a sweep file; returns its path."""

    def write(data):
        path = tmp_path / "a sweep.yaml"
        path.write_text(yaml.safe_dump(data))
        return path

    return write


# Presets


@pytest.mark.parametrize("name", sorted(set(preset_names()) - set(SUITES)))
def test_every_preset_is_a_sweep_of_its_task(name):
    spec = read_spec(preset_path(name))
    assert (spec.name, spec.task) == (name, name)
    assert len(spec.objectives) == 2
    assert spec.trials >= 12
    assert spec.replicates >= 2
    assert spec.confirm is not None
    assert not spec.published


def test_every_task_that_trains_in_minutes_has_a_preset():
    assert set(preset_names()) == set(TASKS) - {"mnist", "modular_addition"} | set(SUITES)
    assert preset_names() == sorted(preset_names())


def test_the_ablation_study_of_the_paper_compares_six_methods_on_all_its_tasks():
    specs = read_specs(preset_path("paper_ablation"))
    assert [spec.task for spec in specs][-2:] == ["in_context", "modular_addition"]
    assert len(specs) == 8
    for spec in specs:
        assert list(spec.variants) == ["vanilla", "L1", "L1+Local", "L1+Swap", "BIMT", "BIMT, assignment"]
        assert (spec.reference, spec.replicates, spec.trials) == ("BIMT", 16, 6)


@pytest.mark.parametrize("name", ["none", "../spec", ""])
def test_an_unknown_preset_is_refused_with_the_known_ones(name):
    known = r"is neither a file nor a preset; presets are compositionality, delayed_"
    with pytest.raises(BadInputError, match=known):
        preset_path(name)


# Files of one sweep


def test_a_file_may_hold_every_kind_of_parameter(tmp_path):
    path = tmp_path / "every kind.yaml"
    path.write_text(EVERY_KIND)
    spec = read_spec(path)
    assert spec.search == {
        "weight_factor": Range(low=0, high=4),
        "cost_weight": Range(low=1e-4, high=1e-2, log=True),
        "layer_distance": Range(low=0.1, high=0.5, step=0.1),
        "relocate_every": Range(low=50, high=500, step=50),
        "hidden_width": Range(low=4, high=64, log=True),
        "relocation": Choices(choices=("none", "greedy", "assignment")),
        "move_moments": Choices(choices=(True, False)),
        "learning_rate": Choices(choices=(1e-3, 1e-2)),
        "steps": Fixed(value=2000),
        "bias_from": Fixed(value=0.5),
        "local_last": Fixed(value=False),
        "cost_phases": Fixed(value=((0.0, 1.0), (0.25, 10.0))),
    }
    assert list(spec.fixed) == ["steps", "bias_from", "local_last", "cost_phases"]
    assert [(o.metric, o.aggregate) for o in spec.objectives] == [("val_loss", "median"), ("connection_cost", "mean")]
    assert [str(c) for c in spec.constraints] == ["val_score >= 0.9", "active_weights <= 100"]
    (start,) = spec.start_from
    assert (start["weight_factor"], start["cost_weight"], start["move_moments"]) == (2.0, 0.001, False)
    assert (spec.confirm, spec.stop_when) == (Confirm(replicates=8), StopWhen(trials=8, gain=0.01))
    assert (spec.max_replicates, spec.resources.cpus) == (8, 2)


def test_a_spec_that_is_written_to_a_file_is_read_again(write):
    spec = parse_spec(yaml.safe_load(EVERY_KIND))
    again = read_spec(write(spec.model_dump(mode="json")))
    assert again == spec
    starts = [{name: repr(value) for name, value in s.start_from[0].items()} for s in (spec, again)]
    assert starts[0] == starts[1]  # 1, 1.0 and True are equal


def test_changes_replace_entries_of_the_file(write, small):
    path = write(small(trials=3))
    spec = read_spec(path, name="other", trials=5, seed=None)
    assert (spec.name, spec.trials, spec.seed) == ("other", 5, 0)
    with pytest.raises(BadInputError, match=f"^{path}: trials: must be at least 1, got 0$"):
        read_spec(path, trials=0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"name: [", "is not YAML: while parsing"),
        (b"a: b: c", "is not YAML: mapping values are not allowed here"),
        (b"\xff\xfe\x00", "is not YAML: it is not text in UTF-8"),
        (b"- name", "must hold a mapping of names to values, got list"),
        (b"", "must hold a mapping of names to values, got NoneType"),
        (b"two_moons", "must hold a mapping of names to values, got str"),
    ],
)
def test_a_file_without_a_mapping_is_refused_in_one_line(tmp_path, content, problem):
    path = tmp_path / "no sweep.yaml"
    path.write_bytes(content)
    with pytest.raises(BadInputError) as caught:
        read_spec(path)
    (line,) = caught.value.problems
    assert line.startswith(f"{path} {problem}")
    assert "\n" not in line


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=f"^cannot read {tmp_path}/none.yaml: No such file or directory$"):
        read_spec(tmp_path / "none.yaml")
    with pytest.raises(BadInputError, match=f"^cannot read {tmp_path}: Is a directory$"):
        read_spec(tmp_path)


# Suites


def make_suite(small, **changes):
    each = small(name=None, task=None)
    return {"name": "s", "each": each, "sweeps": [{"task": "two_moons"}, {"task": "parity", "replicates": 3}]} | changes


def test_the_sweeps_of_a_suite_share_entries(write, small):
    path = write(make_suite(small))
    specs = read_specs(path)
    assert [(s.name, s.task, s.replicates) for s in specs] == [
        ("s.two_moons", "two_moons", 2),
        ("s.parity", "parity", 3),
    ]
    assert specs[0] == parse_spec(small(name="s.two_moons"))
    assert [s.name for s in read_specs(path, name="t")] == ["t.two_moons", "t.parity"]
    with pytest.raises(BadInputError, match=r"holds 2 sweeps; read_specs reads them all$"):
        read_spec(path)


def test_a_sweep_of_a_suite_may_have_a_name(write, small):
    sweeps = [{"task": "parity", "name": "a"}, {"task": "parity"}]
    assert [s.name for s in read_specs(write(make_suite(small, sweeps=sweeps)))] == ["s.a", "s.parity"]


def test_a_file_of_one_sweep_is_a_list_of_one(write, small):
    assert read_specs(write(small())) == [parse_spec(small())]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"colour": 1}, ["unknown key 'colour' of a suite, allowed are name, description, each, sweeps"]),
        ({"sweeps": []}, ["a suite must have a name, a list of sweeps, and each of them must be a mapping"]),
        ({"sweeps": [1]}, ["a suite must have a name, a list of sweeps, and each of them must be a mapping"]),
        ({"each": 1}, ["a suite must have a name, a list of sweeps, and each of them must be a mapping"]),
        (
            {"sweeps": [{"task": "parity", "trials": 0}, {}]},
            ["sweeps.0: trials: must be at least 1, got 0", "sweeps.1: task is missing"],
        ),
        (
            {"sweeps": [{"task": "parity"}, {"task": "parity"}]},
            ["the sweeps of a suite must have different names, got twice s.parity"],
        ),
    ],
)
def test_the_problems_of_a_suite(write, small, changes, lines):
    path = write(make_suite(small, **changes))
    with pytest.raises(BadInputError) as caught:
        read_specs(path)
    assert [line.removeprefix(f"{path}: ") for line in caught.value.problems] == lines


def test_a_suite_needs_a_name(write, small):
    suite = make_suite(small)
    del suite["name"]
    with pytest.raises(BadInputError, match="a suite must have a name, a list of sweeps, "):
        read_specs(write(suite))

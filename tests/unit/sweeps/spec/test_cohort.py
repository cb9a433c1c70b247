import json
from dataclasses import replace

import pytest
import torch
from support.cohorts import THREE, cohort, make_cohort, train_all

from bimt_core import load_task
from sweeps.spec.cohort import Cohort, Member, SavedCheckpoint


def through_json(data):
    return json.loads(json.dumps(data))


def test_a_cohort_has_the_recipes_and_seeds_of_its_members_in_order(small_spec):
    spec = small_spec(seed=5)
    members = {4: Member({"cost_weight": 0.1}, (5, 6)), 2: Member({"cost_weight": 0.2}, (9,)), 3: Member({}, (1, 2, 3))}
    quick = Cohort(spec, members)
    assert quick.recipes == [spec.recipe(member.params) for member in members.values()]
    assert quick.seeds == [5, 6, 9, 1, 2, 3]
    assert [quick.seeds[part] for part in quick.slices] == [[5, 6], [9], [1, 2, 3]]


def test_a_cohort_has_the_sweeps_data_unless_it_has_a_seed_of_its_own(small_spec):
    spec = small_spec(data_seed=4, dtype="float64")
    own, other = make_cohort(spec, {0: {}}), make_cohort(spec, {0: {}}, data_seed=5)
    for task, seed in ((own.load_task(), 4), (other.load_task(), 5)):
        expected = load_task("two_moons", seed).cast(torch.float64)
        for name in ("inputs", "validation_inputs", "test_inputs"):
            assert torch.equal(getattr(task, name), getattr(expected, name))
    assert not torch.equal(own.load_task().inputs, other.load_task().inputs)


@pytest.mark.parametrize("saved", [None, SavedCheckpoint("s3://bucket/x", 20, (5, 6, 7))])
@pytest.mark.parametrize("data_seed", [None, 7])
@pytest.mark.parametrize("convert", [dict, through_json])
def test_a_cohort_is_restored_from_plain_data(convert, data_seed, saved):
    members = {number: replace(member, seeds=(number, 1)) for number, member in THREE.members.items()}
    original = replace(THREE, members=members, data_seed=data_seed, compiled=True, saved=saved)
    restored = Cohort.from_dict(convert(original.to_dict()))
    assert restored == original
    assert list(restored.members) == [10, 11, 12]


def test_a_restored_cohort_trains_the_same():
    saved = SavedCheckpoint("nowhere", 20, (5,))
    original = replace(cohort({"cost_phases": [[0.0, 1.0], [0.5, 2.0]]}, dtype="float64", evaluations=1), saved=saved)
    restored = Cohort.from_dict(through_json(original.to_dict()))
    (one,), (other,) = train_all(original), train_all(restored)
    assert other.metrics == one.metrics
    assert other.row_stderr == one.row_stderr
    assert other.files == one.files
    assert list(other.files) == [10]

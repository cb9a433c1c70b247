from dataclasses import replace
from itertools import product

from support.cohorts import make_cohort

from sweeps.run.cohorts import form_cohorts, split_cohort
from sweeps.spec.cohort import Member, SavedCheckpoint
from sweeps.study.trial import Trial


def form(spec, trials, checkpoints=(), retry_of=None):
    saved = {number: checkpoint for checkpoint in checkpoints for number in checkpoint.members}
    return form_cohorts(spec, trials, compiled=False, checkpoints=saved, retry_of=retry_of or {})


def test_trials_whose_networks_have_different_shapes_are_in_different_cohorts(small_spec):
    kinds = list(product([5, 9], ["greedy", "assignment"])) * 3
    trials = [Trial(n, "RUNNING", {"hidden_width": w, "relocation": r}, seeds=(0, 1)) for n, (w, r) in enumerate(kinds)]
    cohorts = form(small_spec(), trials)
    assert len(cohorts) == 4
    assert sorted(number for cohort in cohorts for number in cohort.members) == list(range(12))
    for cohort in cohorts:
        assert len({r.shape for r in cohort.recipes}) == 1
        assert all(kinds[number] == tuple(member.params.values()) for number, member in cohort.members.items())


def test_trials_that_differ_per_network_train_together(small_spec):
    trials = [
        Trial(n, "RUNNING", {"cost_weight": 10.0**-n, "learning_rate": 1e-3 * n}, seeds=(7, 8)) for n in range(1, 5)
    ]
    (cohort,) = form(small_spec(), trials)
    assert cohort.members == {trial.number: Member(trial.params, (7, 8)) for trial in trials}
    assert (cohort.saved, cohort.data_seed, len(cohort.seeds)) == (None, None, 8)


def test_networks_of_every_purpose_train_together_on_the_same_data(small_spec):
    own = [
        Trial(0, "RUNNING", {"relocation": "greedy"}, "baseline", seeds=(0, 1)),
        Trial(1, "RUNNING", {}, "search", seeds=(0, 1)),
        Trial(2, "RUNNING", {}, "replicates", 1, seeds=(2,)),
        Trial(3, "RUNNING", {}, "confirmation", 1, seeds=(4, 5, 6)),
    ]
    other = [Trial(n, "RUNNING", {}, "confirmation", 1, seeds=(4,), data_seed=seed) for n, seed in ((4, 7), (5, 8))]
    cohorts = form(small_spec(), [*own, *other])
    assert [(list(cohort.members), cohort.data_seed) for cohort in cohorts] == [
        ([0], None),  # whose shared hyperparameters differ
        ([1, 2, 3], None),
        ([4], 7),
        ([5], 8),
    ]
    assert [member.seeds for member in cohorts[1].members.values()] == [(0, 1), (2,), (4, 5, 6)]


def test_retries_continue_from_the_latest_checkpoint_of_their_ancestors(small_spec):
    old, new = SavedCheckpoint("/old", 20, (0, 1)), SavedCheckpoint("/new", 30, (3,))
    trials = [
        Trial(n, "RUNNING", {}, attempt=2, retry_of=retry_of) for n, retry_of in ((5, 3), (6, 4), (7, 2), (8, None))
    ]
    cohorts = form(small_spec(), trials, [old, new], {3: 0, 4: 1, 2: None, 0: None, 1: None})
    assert [(list(c.members), c.saved) for c in cohorts] == [
        ([5], new),
        ([6], replace(old, members=(1,))),
        ([7, 8], None),
    ]


def test_a_lost_cohort_is_split_unless_its_only_member_started_alone(small_spec):
    cohort = make_cohort(small_spec(), {4: {"steps": 10}, 6: {"steps": 10}}, compiled=True, data_seed=7)
    parts = split_cohort(cohort)
    assert [part.members for part in parts] == [{number: Member({"steps": 10}, (0, 1))} for number in (4, 6)]
    assert all((part.compiled, part.spec, part.data_seed) == (True, cohort.spec, 7) for part in parts)
    assert split_cohort(parts[0]) == []
    continued = replace(parts[0], saved=SavedCheckpoint("/old", 5, (1,)))
    assert split_cohort(continued) == [parts[0]], "the checkpoint may be the culprit"

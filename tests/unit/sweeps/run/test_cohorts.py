from dataclasses import replace
from itertools import product

from sweeps.run.cohorts import form_cohorts, split_cohort
from sweeps.spec.sweep import SavedCheckpoint
from sweeps.study.trial import Trial


def form(spec, trials, checkpoints=(), retry_of=None):
    saved = {number: checkpoint for checkpoint in checkpoints for number in checkpoint.members}
    return form_cohorts(spec, trials, compiled=False, checkpoints=saved, retry_of=retry_of or {})


def test_trials_whose_networks_have_different_shapes_are_in_different_cohorts(small_spec):
    kinds = list(product([5, 9], ["greedy", "assignment"])) * 3
    trials = [Trial(n, "RUNNING", {"hidden_width": w, "relocation": r}) for n, (w, r) in enumerate(kinds)]
    cohorts = form(small_spec(), trials)
    assert len(cohorts) == 4
    assert sorted(number for cohort in cohorts for number in cohort.members) == list(range(12))
    for cohort in cohorts:
        assert len({r.shape for r in cohort.recipes}) == 1
        assert all(kinds[number] == tuple(params.values()) for number, params in cohort.members.items())


def test_trials_that_differ_per_network_train_together(small_spec):
    trials = [Trial(n, "RUNNING", {"cost_weight": 10.0**-n, "learning_rate": 1e-3 * n}) for n in range(1, 5)]
    (cohort,) = form(small_spec(), trials)
    assert cohort.members == {trial.number: trial.params for trial in trials}
    assert (cohort.saved, cohort.n_networks) == (None, 8)


def test_retries_continue_from_the_latest_checkpoint_of_their_ancestors(small_spec):
    old, new = SavedCheckpoint("/old", 20, (0, 1)), SavedCheckpoint("/new", 30, (3,))
    trials = [Trial(n, "RUNNING", {}, 2, retry_of) for n, retry_of in ((5, 3), (6, 4), (7, 2), (8, None))]
    cohorts = form(small_spec(), trials, [old, new], {3: 0, 4: 1, 2: None, 0: None, 1: None})
    assert [(list(c.members), c.saved) for c in cohorts] == [
        ([5], new),
        ([6], replace(old, members=(1,))),
        ([7, 8], None),
    ]


def test_a_lost_cohort_is_split_unless_its_only_member_started_alone(small_spec):
    cohort = small_spec().cohort({4: {"steps": 10}, 6: {"steps": 10}}, compiled=True)
    parts = split_cohort(cohort)
    assert [part.members for part in parts] == [{4: {"steps": 10}}, {6: {"steps": 10}}]
    assert all(part.compiled and part.spec == cohort.spec for part in parts)
    assert split_cohort(parts[0]) == []
    continued = replace(parts[0], saved=SavedCheckpoint("/old", 5, (1,)))
    assert split_cohort(continued) == [parts[0]], "the checkpoint may be the culprit"

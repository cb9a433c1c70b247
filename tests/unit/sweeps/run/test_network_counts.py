import pytest

from sweeps.run.network_counts import NetworkCounts, count_networks, count_runs, guess_networks_per_cohort

MODULARITY = {"metric": "modularity", "direction": "maximize"}


def test_every_purpose_is_counted(small_spec):
    counts = count_networks(small_spec(trials=64, replicates=4, max_replicates=8, confirm={"replicates": 16}))
    assert (counts.search, counts.baseline) == (256, 4)
    assert counts.front == round(1.5 * 64**0.58) == 17
    assert counts.confirmation == 18 * 16
    assert counts.raised == round(0.8 * 64) * 4
    assert counts.total == 256 + 4 + 288 + 204


def test_without_confirmation_and_racing_there_is_only_the_search_and_the_baseline(small_spec):
    assert count_networks(small_spec(trials=5)) == NetworkCounts(10, 0, 2, 0, 4)


def test_variants_have_neither_baseline_nor_confirmation(small_spec):
    variants = {"vanilla": {"cost_weight": 0.0}, "BIMT": {"relocation": "greedy"}}
    spec = small_spec(search={"steps": 40}, variants=variants, trials=None)
    assert count_networks(spec) == NetworkCounts(4, 0, 0, 0, 0)
    assert count_runs(spec, count_networks(spec)) == 2


def test_more_objectives_have_a_larger_front_that_never_exceeds_the_trials(small_spec):
    objectives = [*small_spec().model_dump()["objectives"], MODULARITY]
    sizes = [count_networks(small_spec(trials=100, objectives=objectives[:n])).front for n in (1, 2, 3)]
    assert sizes[0] == 1
    assert sizes == sorted(set(sizes))
    assert all(count_networks(small_spec(trials=n, objectives=objectives)).front <= n for n in (1, 2, 3))


@pytest.mark.parametrize(("most", "runs"), [(None, 10 + 1), (4, 10 + 1 + 8), (5, 10 + 1 + 2 * 8)])
def test_runs_are_trials_of_all_roles(small_spec, most, runs):
    spec = small_spec(trials=10, max_replicates=most)
    assert count_runs(spec, count_networks(spec)) == runs
    confirmed = small_spec(trials=10, max_replicates=most, confirm={"replicates": 8})
    counts = count_networks(confirmed)
    assert count_runs(confirmed, counts) == runs + counts.front + 1


def test_a_cohort_is_small_enough_for_eight_rounds(small_spec):
    assert guess_networks_per_cohort(small_spec(trials=64, cohort_size=5)) == 5 * 2
    assert guess_networks_per_cohort(small_spec(trials=16, cohort_size=5)) == 2 * 2
    assert guess_networks_per_cohort(small_spec(trials=3, cohort_size=5)) == 1 * 2
    assert guess_networks_per_cohort(small_spec(trials=5000, cohort_size="auto")) == 128
    variants = {name: {"cost_weight": 0.0} for name in "abc"}
    assert guess_networks_per_cohort(small_spec(search={}, variants=variants, trials=None)) == 3 * 2

import statistics

from hypothesis import given
from hypothesis import strategies as st

from sweeps.pictures import best_and_median


@given(st.lists(st.floats(0, 10), min_size=1, max_size=9))
def test_best_and_median_replicate(losses):
    best, median = best_and_median({"test_loss": losses})
    assert losses[best] == min(losses)
    assert losses[median] == statistics.median_low(losses)

"""A Pareto front that grows by one trial at a time."""

from collections.abc import Mapping

Costs = tuple[float, ...]  # what is to be small, one an objective


def extend_front(front: Mapping[int, Costs], number: int, costs: Costs) -> dict[int, Costs]:
    """A front with one more trial, if no other beats it, and without those that it beats.

    A trial beats another if it is as good in every objective and better in one; equal ones stand beside each other. The
    order of adding does not change which trials are left.

    Args:
        front: Number of a trial to its costs.
        number: The new one's number.
        costs: Its costs.
    """
    if any(_beats(other, costs) for other in front.values()):
        return dict(front)
    return {n: other for n, other in front.items() if not _beats(costs, other)} | {number: costs}


def _beats(one: Costs, other: Costs) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))

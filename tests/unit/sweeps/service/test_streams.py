import asyncio

import pytest

from sweeps.service.streams import iterate


async def count(n: int, closed: list[bool]):
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield str(i)
    finally:
        closed.append(True)


def test_all_items_are_yielded_in_order():
    closed: list[bool] = []
    assert list(iterate(count(5, closed))) == ["0", "1", "2", "3", "4"]
    assert closed == [True]


def test_it_works_inside_a_running_event_loop():
    async def notebook() -> list[str]:
        return list(iterate(count(3, [])))

    assert asyncio.run(notebook()) == ["0", "1", "2"]


def test_leaving_early_closes_the_generator():
    closed: list[bool] = []
    items = iterate(count(1_000_000, closed))
    assert next(items) == "0"
    items.close()
    assert closed == [True]


def test_an_error_is_raised_after_the_items_before_it():
    async def fail():
        yield "first"
        raise OSError("broken")

    items = iterate(fail())
    assert next(items) == "first"
    with pytest.raises(OSError, match="broken"):
        next(items)

"""Asynchronous generators for synchronous code."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from queue import SimpleQueue


def iterate(generator: AsyncGenerator[str]) -> Iterator[str]:
    """Yields the items of an asynchronous generator, run by another thread, since a notebook has an event loop already.

    Args:
        generator: The generator; closed at the end.
    """
    items: SimpleQueue[str | None] = SimpleQueue()

    async def put() -> None:
        async with aclosing(generator):
            async for item in generator:
                items.put(item)

    with closing(asyncio.new_event_loop()) as loop, ThreadPoolExecutor(1) as thread:
        task = loop.create_task(put())
        done = thread.submit(loop.run_until_complete, task)
        done.add_done_callback(lambda _: items.put(None))
        try:
            while (item := items.get()) is not None:
                yield item
            done.result()
        finally:
            loop.call_soon_threadsafe(task.cancel)

"""Asynchronous generators for code that is not asynchronous."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from queue import SimpleQueue


def iterate(generator: AsyncGenerator[str]) -> Iterator[str]:
    """What an asynchronous generator yields, run by a thread of its own: a notebook's runs an event loop already."""
    pieces: SimpleQueue[str | None] = SimpleQueue()

    async def put() -> None:
        async with aclosing(generator):
            async for piece in generator:
                pieces.put(piece)

    with closing(asyncio.new_event_loop()) as loop, ThreadPoolExecutor(1) as thread:
        task = loop.create_task(put())
        done = thread.submit(loop.run_until_complete, task)
        done.add_done_callback(lambda _: pieces.put(None))
        try:
            while (piece := pieces.get()) is not None:
                yield piece
            done.result()
        finally:
            loop.call_soon_threadsafe(task.cancel)

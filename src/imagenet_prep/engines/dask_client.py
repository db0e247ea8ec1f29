"""A connection to a dask scheduler: how it is made, asked and ended, and what is said when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from concurrent.futures import CancelledError
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from distributed import Client
from distributed.comm import CommClosedError, get_address_host_port

from imagenet_prep.errors import PrepError, UsageError

PATIENCE = 10.0  # seconds without an answer of the scheduler, or without any worker: a nanny starts a new one in two
END = 1.0  # seconds for the goodbye at the end
_CONNECT = 10.0  # seconds
_LOGGERS = ("distributed", "distributed.client", "distributed.core", "distributed.comm")


@contextlib.contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to a scheduler, and close the connection with the context. Raises UsageError if there is none."""
    with _quiet():
        client = _client(address)
        try:
            yield client
        finally:
            client.close(timeout=END)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let dask log nothing: one sentence of ours says what happened."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.CRITICAL)
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _client(address: str) -> Client:
    """Connect in a thread: with something else at the address, dask may wait forever."""
    made: SimpleQueue[Client | Exception] = SimpleQueue()

    def connect() -> None:
        try:
            get_address_host_port(address, strict=True)  # a client that is given nonsense does not end for 20 seconds
            made.put(Client(address, timeout=_CONNECT, set_as_default=False))
        except (OSError, ValueError, CommClosedError) as error:
            made.put(error)

    Thread(target=connect, daemon=True).start()
    try:
        client = made.get(timeout=_CONNECT + END)
    except Empty as error:
        client = error
    if isinstance(client, Exception):
        raise UsageError(
            f"No dask scheduler answers at {address}.",
            remedy="Its first lines name the address, such as tcp://10.0.0.1:8786.",
        ) from client
    return client


def _refuse_closed(client: Client) -> None:
    if client.status != "running":  # it tries to connect again for half a minute
        raise CommClosedError("the connection is closed")


def threads_of(client: Client) -> int:
    """Count the threads of all workers. Raises CommClosedError if the scheduler does not answer."""
    try:
        return sum(wait_for(client, client.nthreads(asynchronous=True), PATIENCE).values())
    except TimeoutError as error:
        raise CommClosedError("no answer") from error


@contextlib.contextmanager
def gone_named(client: Client) -> Iterator[None]:
    """Say in one sentence that the scheduler is gone, or that somebody has cancelled the work. What is asked within it
    is dask alone.
    """
    try:
        _refuse_closed(client)
        yield
    except TimeoutError:
        raise
    except (OSError, CancelledError) as error:
        again = "Run the same command again: finished shards are kept."
        if isinstance(error, CancelledError) and client.status == "running":
            raise PrepError("The dask scheduler has cancelled a task: somebody stopped it.", remedy=again) from error
        remedy = f"Start a scheduler and workers. {again}"
        raise PrepError("The dask scheduler is gone, or cannot be reached any more.", remedy=remedy) from error


def wait_for(client: Client, coroutine: Coroutine[Any, Any, Any], seconds: float) -> Any:
    """Give what a coroutine of the client gives. Raises TimeoutError: what asks dask by itself may wait forever."""
    return asyncio.run_coroutine_threadsafe(coroutine, client.loop.asyncio_loop).result(seconds)

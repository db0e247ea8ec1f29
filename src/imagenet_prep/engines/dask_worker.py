"""What runs in a dask worker: it compares versions, and carries an order out.

The functions are sent by value, so a worker with another version of this package, or without it, receives them all the
same, and says what it has.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from distributed import Client

from imagenet_prep.engines.dask_client import wait_for
from imagenet_prep.errors import UsageError
from imagenet_prep.version import __version__

TOPIC = "imagenet-prep"  # of the events that say how far a task is
_PATIENCE = 30.0  # seconds: a worker that computes may be slow to answer


def _sent_by_value() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Make the functions that run in workers. Those within another function are pickled with their code, so a worker
    needs nothing of this package to receive them.
    """
    topic = TOPIC

    def differing(expected: dict[str, str]) -> dict[str, str]:
        """Give the versions that are not as expected; "" for what is not there."""
        from importlib import import_module, metadata

        found = {}
        for name in expected:
            try:
                if name == "imagenet-prep":  # the code itself, however it comes there
                    found[name] = import_module("imagenet_prep.version").__version__
                else:
                    found[name] = metadata.version(name)
            except ImportError:  # a distribution that is not there is one, too
                found[name] = ""
        return {name: version for name, version in found.items() if version != expected[name]}

    def run(expected: dict[str, str], key: str, message: bytes) -> tuple[str, object]:
        """Carry out an order, if the versions are the same."""
        from distributed import get_worker

        worker = get_worker()
        if others := differing(expected):
            return "refused", (worker.address, others)
        from imagenet_prep.engines.orders import answer
        from imagenet_prep.engines.reports import reporting

        with reporting(lambda count, size: worker.log_event(topic, (key, count, size))):
            return "answered", answer(message)

    return differing, run


differing, in_worker = _sent_by_value()


def versions() -> dict[str, str]:
    """Give the versions that a worker needs: Pillow decides the bytes of images that are converted."""
    return {"imagenet-prep": __version__, "pillow": metadata.version("pillow")}


def check_versions(client: Client) -> None:
    """Ask every worker there is. Raises UsageError if one is of another version, or cannot be asked."""
    asked = client.run(differing, versions(), on_error="return", asynchronous=True)
    try:
        found = wait_for(client, asked, _PATIENCE)
    except TimeoutError as error:
        raise UsageError(
            f"There are dask workers that have not answered for {_PATIENCE:.0f} seconds.",
            remedy="The dashboard of dask, or its logs, say which: end them.",
        ) from error
    for address, others in found.items():
        if isinstance(others, BaseException):
            raise UsageError(
                f"The dask worker {address} cannot run what this process sends: {others}.",
                remedy="Workers need the same versions of Python and of imagenet-prep as this process.",
            )
        if others:
            raise other_versions(address, others)


def other_versions(address: str, differing: dict[str, str]) -> UsageError:
    """Give the error about a worker of other versions."""
    ours = versions()
    texts = (f"{name} {version or 'not at all'} (here {ours[name]})" for name, version in differing.items())
    return UsageError(
        f"The dask worker {address} has {', '.join(texts)}.",
        remedy="Workers need the same versions as this process.",
    )

"""imagenet-prep: from the ILSVRC2012 archives to verified, labelled, split, shuffled training data.

The library has the verbs of the command line:

    import imagenet_prep

    report = imagenet_prep.build("archives", "data", imagenet_prep.BuildOptions.of(format=("tfrecord", "tfds")))

``__init__.pyi`` is the list of public names, for type checkers and at run time. They are loaded when they are first
used: worker processes import this package too, and need neither Arrow nor NumPy.
"""

from __future__ import annotations

import ast
import pkgutil
from functools import cache
from importlib import import_module


@cache
def _homes() -> dict[str, str]:
    """Give the module of every public name."""
    stub = ast.parse(pkgutil.get_data(__name__, "__init__.pyi") or b"")
    return {
        alias.name: str(node.module) for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def __getattr__(name: str) -> object:
    if name == "__all__":
        return __dir__()
    if name not in _homes():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_homes()[name]), name)


def __dir__() -> list[str]:
    return sorted(_homes())

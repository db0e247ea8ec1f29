"""A final name means complete: write under a temporary name, sync, rename, sync the folder.

The temporary name holds machine and process number, so two runs on one folder never write into each other's file, and
what a killed run left behind can be told from what a living one is writing.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import get_ident
from typing import Self

from imagenet_prep.stores.temporary import output_errors, temporary_name, temporary_path
from imagenet_prep.stores.tree import Tree


class Publication:
    """Files that get their names together, when all of them are complete. Paths are below ``folder``.

    A context manager: whatever is not finished when the context ends is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, tuple[Path, int]] = {}  # final path → temporary path, descriptor
        self._tree: Tree | None = None  # for files that are placed

    def create(self, path: str) -> int:
        """Open a new file that will be known as ``path``, and give its descriptor, which stays the
        publication's to close.
        """
        final = self._folder / path
        with output_errors(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(temporary_path(str(self._folder), path))
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._open[final] = temporary, descriptor
        return descriptor

    def place(self, path: str, data: bytes | memoryview, source: str = "") -> None:
        """Write a small file as a whole, and give it its name at once; ``finish`` makes it durable.

        ``source`` is the path of a file with the same bytes, "" for none.
        """
        self._tree = self._tree or Tree(self._folder)
        self._tree.place(path, data, source)

    def finish(self) -> None:
        """Sync all contents, then give every file its name, durably."""
        if self._tree:
            self._tree.sync()
        for final, (_, descriptor) in self._open.items():
            with output_errors(final):
                os.fsync(descriptor)
        folders = sorted({final.parent for final in self._open})
        for final, (temporary, descriptor) in list(self._open.items()):
            with output_errors(final):
                temporary.replace(final)
            del self._open[final]  # first: an interrupt between the two must not lead to closing it twice
            os.close(descriptor)
        for parent in folders:
            sync_folder(parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            temporary, descriptor = self._open.popitem()[1]
            os.close(descriptor)
            temporary.unlink(missing_ok=True)


def publish_bytes(path: Path, data: bytes) -> None:
    """Write a whole small file, durably, under its final name."""
    with Publication(path.parent) as files, output_errors(path):
        descriptor = files.create(path.name)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        files.finish()


def claim_bytes(path: Path, data: bytes) -> bool:
    """Write a whole small file, durably, if there is none of that name; say whether it was written."""
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(temporary_name(f"{path.name}.{get_ident()}"))  # threads may claim at once
        try:
            _write_durably(temporary, "wb", data)
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            except OSError:  # a file system without links; there a kill may leave a part of it
                _write_durably(path, "xb", data)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _write_durably(path: Path, mode: str, data: bytes) -> None:
    with path.open(mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the renames in ``folder`` survive a power cut."""
    with output_errors(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

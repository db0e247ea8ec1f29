"""Very many small files that each get their name at once, and become durable together.

A sync for each of 1.28 million files would take hours on a hard disk, where one for all takes a second. So a file in a
tree is complete as soon as it has its name, but a power cut may lose it until ``sync`` returned: the receipt comes
after that.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from imagenet_prep.errors import OutputError, Problem, SourceError
from imagenet_prep.stores.draft import Draft
from imagenet_prep.stores.errors import DisturbedError, disturbed, output_errors, undisturbed
from imagenet_prep.stores.sync import sync_file_system
from imagenet_prep.stores.temporary import forget_name, temporary_name, top_of

_FICLONE = 0x40049409  # linux/fs.h: let one file share the blocks of another
_ONE_FILE_SYSTEM = "Choose a folder on the file system of the source, or another --transfer: symlink, or copy."
_NO_LINKS = "This file system, or its rules, do not allow such links here; --transfer copy always works."

_LINK_REMEDIES = {
    errno.EXDEV: _ONE_FILE_SYSTEM,
    errno.EPERM: _NO_LINKS,
    errno.EOPNOTSUPP: _NO_LINKS,
    errno.ENOTSUP: _NO_LINKS,  # macOS has both
    errno.EINVAL: _NO_LINKS,
    errno.EMLINK: _NO_LINKS,  # a file has as many names as its file system allows
    errno.ENOSYS: _NO_LINKS,  # what a file system in user space says
}


class Tree:
    """Files below ``folder``, each put there by one call: as a copy, a link, or the file itself. Sources are paths.

    Calls may be repeated: what is in place already stays. All raise OutputError, and SourceError if a source is gone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._made: set[str] = set()
        self._cloning = sys.platform == "linux"  # until a file system refuses

    def place(self, path: str, data: bytes | memoryview, source: str = "") -> None:
        """Write a file of its own, which replaces one of that name. Where the file system can, it shares the blocks of
        ``source``, the path of a file with the same bytes ("" for none).
        """

        def write() -> None:
            try:
                self._place(path, data, source)
            except DisturbedError:
                self._made.clear()  # its folder may be gone, too
                raise

        undisturbed(write)

    def _place(self, path: str, data: bytes | memoryview, source: str) -> None:
        def has_same(there: str) -> bool:
            with open(there, "rb") as file:
                return file.read() == data

        final = self._prepared(path)
        # Without a lock, which on a network would ask the server each time: a file lives for a moment, and one that is
        # swept in it is written again.
        with output_errors(Path(final)), Draft(final, top_of(self._folder, path), locked=False) as draft:
            if not (source and self._cloning and self._clone(draft.descriptor, source)):
                left = data
                while left := left[os.write(draft.descriptor, left) :]:
                    pass
            draft.give_name(len(data), has_same)

    def hardlink(self, path: str, source: str) -> None:
        """Give the file ``source`` a second name; of a symbolic link, the file it leads to. A file whose name in the
        source is gone, because it was moved, has it already.
        """
        file = os.path.realpath(source) if os.path.islink(source) else source

        def make(final: str) -> None:
            try:
                os.link(file, final)
            except FileNotFoundError:
                if not os.path.lexists(f"{self._folder}/{path}"):
                    raise

        self._link(path, source, make)

    def symlink(self, path: str, source: str) -> None:
        """Make a symbolic link to ``source``, an absolute path."""
        self._link(path, source, lambda final: os.symlink(source, final))

    def sync(self) -> None:
        """Make all that was done survive a power cut."""
        sync_file_system(Path(self._folder))

    def _prepared(self, path: str) -> str:
        final = f"{self._folder}/{path}"
        parent = final.rpartition("/")[0]
        if parent not in self._made:
            with output_errors(Path(parent)):
                os.makedirs(parent, exist_ok=True)
            self._made.add(parent)
        return final

    def _link(self, path: str, source: str, make: Callable[[str], None]) -> None:
        final = self._prepared(path)
        with _link_errors(final, source):
            try:
                make(final)
            except FileExistsError:  # of an earlier run; renamed over it, because there is no moment without a file
                undisturbed(lambda: self._link_over(final, top_of(self._folder, path), make))

    def _link_over(self, final: str, top: str, make: Callable[[str], None]) -> None:
        temporary = f"{top}/{temporary_name(os.path.basename(final))}"
        make(temporary)
        try:
            os.replace(temporary, final)
        except FileNotFoundError as error:  # swept
            raise disturbed(final) from error
        with contextlib.suppress(FileNotFoundError):  # two names of one file: a rename does nothing
            os.unlink(temporary)
        forget_name(temporary)

    def _clone(self, descriptor: int, source: str) -> bool:
        try:
            opened = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.fcntl(descriptor, fcntl.F_SETFL, 0)  # no file that is open for appending takes blocks
                fcntl.ioctl(descriptor, _FICLONE, opened)
            finally:
                os.close(opened)
                fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_APPEND)
        except OSError:
            self._cloning = False  # another file system, or one that cannot
        return self._cloning


def try_link(folder: Path, source: str, *, symbolic: bool) -> None:
    """Make a link to ``source`` in ``folder``, and leave nothing. Raises OutputError if that is not possible."""
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]  # the inner ones first
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    probe = folder / temporary_name("link")
    with _link_errors(f"a link to {source} in {folder.parent}", source):
        try:
            probe.unlink(missing_ok=True)  # of a process that had the number of this one, and was killed
            if symbolic:
                probe.symlink_to(source)
            else:
                os.link(os.path.realpath(source), probe)
        finally:
            probe.unlink(missing_ok=True)
            forget_name(probe.name)
            for parent in made:
                with contextlib.suppress(OSError):  # another run has started there
                    parent.rmdir()


@contextlib.contextmanager
def _link_errors(final: str, source: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SourceError("A file of the source is gone:", (Problem(source, "was there before"),)) from error
    except OSError as error:
        remedy = _LINK_REMEDIES.get(error.errno or 0)
        if remedy is None:
            with output_errors(Path(final)):
                raise
        raise OutputError(f"Cannot make {final}: {error.strerror}.", remedy=remedy) from error

"""A file on its way to its name, which it gets only after a check: the file of the descriptor is the one
under the temporary name, and has the size of what was written.

It is open for appending. If another program makes it shorter in the middle, what is written after that does not leave a
hole of zeros before it, as it would at a place in the file: the file stays too short forever, and its size shows it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from typing import Self, TypeVar

from imagenet_prep.stores.errors import disturbed
from imagenet_prep.stores.temporary import forget_name, lock, temporary_name

Result = TypeVar("Result")

_TRIES = 5


class Draft:
    """A new file that will be called ``final``. Until then it lies in ``folder``, "" for that of ``final``, locked if
    it is to live for more than a moment.

    A context manager: its end closes the file, and removes it if it has no name. All raise OSError, and DisturbedError.
    """

    def __init__(self, final: str, folder: str = "", *, locked: bool = True) -> None:
        self.final = final
        self._folder = folder or os.path.dirname(final)
        self._named = False
        for _ in range(_TRIES):
            self._make()
            if not locked or (lock(self.descriptor) is not False and self._is_there()):
                return
            self.__exit__()  # swept between the two
        raise disturbed(final)

    def _make(self) -> None:
        self.path = f"{self._folder}/{temporary_name(os.path.basename(self.final))}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            self.descriptor = os.open(self.path, flags, 0o666)
        except OSError:
            forget_name(self.path)
            raise

    def _is_there(self) -> bool:
        return os.fstat(self.descriptor).st_nlink > 0 and os.path.lexists(self.path)

    def give_name(self, size: int, has_same: Callable[[str], bool]) -> None:
        """Give the file its name, if it is what was written: ``size`` bytes. ``has_same`` reads a file and says whether
        it has them, too.
        """
        if not self._is_what_was_written(self.path, size, has_same):
            raise disturbed(self.final)
        try:
            os.replace(self.path, self.final)
        except FileNotFoundError as error:  # only just
            raise disturbed(self.final) from error
        self._named = True
        if not self._is_what_was_written(self.final, size, has_same):
            self._take_name_back()
            raise disturbed(self.final)

    def _is_what_was_written(self, path: str, size: int, has_same: Callable[[str], bool]) -> bool:
        own = os.fstat(self.descriptor)
        try:
            there = os.lstat(path)
            if os.path.samestat(own, there):
                return own.st_nlink > 0 and own.st_size == there.st_size == size
            # Another build's, which has just finished the same; or a file system that numbers its files again.
            return stat.S_ISREG(there.st_mode) and there.st_size == size and has_same(path)
        except FileNotFoundError:
            return False

    def _take_name_back(self) -> None:
        """A final name means complete: a file of ours that is not complete loses it."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self.descriptor), os.lstat(self.final)):
                os.unlink(self.final)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, once; and remove it, if it has no name."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        if not self._named:
            with contextlib.suppress(OSError):  # gone, or not a file by now: what cannot be removed does no harm
                os.unlink(self.path)
        forget_name(self.path)

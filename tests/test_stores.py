"""Stores keep their contract; a local one writes straight from memory, and survives what disks and signals do."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from imagenet_prep import LocalStore, MemoryStore, OutputError
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.stores import store_at
from imagenet_prep.stores.base import Store, files_below
from imagenet_prep.testing.contracts import StoreContract

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


class TestLocalStore(StoreContract):
    def store(self, folder: Path) -> Store:
        return LocalStore(str(folder / "data"), "data")


class TestMemoryStore(StoreContract):
    def store(self, folder: Path) -> Store:  # noqa: ARG002
        return MemoryStore()


def test_a_path_is_a_local_store_and_a_store_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    memory = MemoryStore()
    assert store_at(memory) is memory
    assert store_at("data") == store_at(Path("data")) == store_at(tmp_path / "data")
    assert store_at("data").place == "data"


def test_a_local_store_survives_pickling(tmp_path: Path) -> None:
    store = pickle.loads(pickle.dumps(LocalStore(str(tmp_path), "data")))
    assert (store.folder, store.place) == (str(tmp_path), "data")


class TestAFileOnDisk:
    def test_a_buffer_is_never_copied_before_it_is_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The object handed to the system call is the very memory that was lent.
        memory, seen, real = memoryview(bytearray(b"lent")), list[object](), os.writev

        def noted(descriptor: int, buffers: list[bytes | memoryview]) -> int:
            seen.extend(buffers)
            return real(descriptor, buffers)

        monkeypatch.setattr(os, "writev", noted)
        written(tmp_path, b"before", memory)
        assert any(buffer is memory for buffer in seen)

    def test_a_write_that_ends_early_is_continued(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # As when a signal arrives: the system takes at most 7 bytes of the first buffer at a time.
        monkeypatch.setattr(
            os, "writev", lambda descriptor, buffers: os.write(descriptor, bytes(next(filter(len, buffers))[:7]))
        )
        parts: list[bytes | memoryview] = [b"twenty bytes of text", b"", memoryview(b"and more of it")]
        assert written(tmp_path, *parts) == b"".join(parts)

    def test_more_buffers_than_one_call_takes_are_written(self, tmp_path: Path) -> None:
        parts = [b"%d," % number for number in range(4500)]  # Linux takes 1,024 at once
        assert written(tmp_path, *parts) == b"".join(parts)

    def test_an_error_names_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("a file where a folder should be")
        store = LocalStore(str(tmp_path / "data/below"), "data/below")
        with pytest.raises(OutputError, match="data/below/a") as caught, store.batch() as batch:
            batch.create("a")
        assert caught.value.exit_code == 6
        with pytest.raises(OutputError, match="data/below/a"):
            store.publish("a", b"")

    def test_a_writer_that_was_killed_leaves_what_a_sweep_removes(self, tmp_path: Path) -> None:
        code = (
            "import os, sys\nfrom imagenet_prep import LocalStore\n"
            "batch = LocalStore(sys.argv[1]).batch()\nsink = batch.create('a/b')\nsink.write(b'half')\nsink.flush()\n"
            "os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
        store = LocalStore(str(tmp_path))
        [left] = files_below(store, "")
        assert left.startswith("a/.b.")
        store.sweep()
        assert list(files_below(store, "")) == [left]  # of a folder that is no data set, nothing is taken away
        (tmp_path / PRIVATE).mkdir()
        with store.batch() as batch:
            batch.create("a/c")  # this one is being written
            store.sweep()
            [half] = files_below(store, "")
            assert half.startswith("a/.c.")

    def test_a_file_system_that_says_0_of_everything_says_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = LocalStore(str(tmp_path / "data"))
        assert store.free()
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=0, used=0, free=0))
            assert store.free() is None
        monkeypatch.setattr(os, "statvfs", refuse)
        assert store.free() is None

    def test_a_lock_is_gone_with_its_process(self, tmp_path: Path) -> None:
        code = "import os, sys\nfrom imagenet_prep import LocalStore\n"
        code += "with LocalStore(sys.argv[1]).hold(alone=True): os.kill(os.getpid(), 9)"
        killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
        assert killed.returncode == -9
        with LocalStore(str(tmp_path)).hold(alone=True):
            pass


def written(folder: Path, *parts: bytes | memoryview) -> bytes:
    """Write a file of these parts; give what it holds."""
    store = LocalStore(str(folder))
    with store.batch() as batch:
        batch.create("a").write(*parts)
        batch.commit()
    return store.read("a")


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")

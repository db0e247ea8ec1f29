"""The contract of stores as a test suite: see ``contracts``."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import xxhash

from imagenet_prep.errors import OtherBuildError, OutputError, SourceError
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.stores.base import Listing, Store, files_below


class StoreContract:
    """What every store promises. ``store`` gives an empty one; each call with another folder gives another store."""

    def store(self, folder: Path) -> Store:
        """Give an empty store."""
        raise NotImplementedError

    def test_an_empty_store_has_nothing(self, tmp_path: Path) -> None:
        """Nothing has to be there, and reading creates nothing."""
        store = self.store(tmp_path)
        assert store.list("") == store.list("a/b") == Listing([], [])
        assert store.stat("a") is None
        assert _raises(FileNotFoundError, store.read, "a")
        assert _raises(FileNotFoundError, store.open, "a")
        store.remove("a")
        store.remove_folder("b")
        store.sweep()
        assert list(files_below(store, "")) == []
        free = store.free()
        assert free is None or free >= 0

    def test_a_created_file_appears_when_the_batch_is_committed(self, tmp_path: Path) -> None:
        """As a whole, and all files of a batch together; until then there is nothing, or what was there before."""
        store = self.store(tmp_path)
        store.publish("a/old", b"old")
        with store.batch() as batch:
            sinks = [batch.create(path) for path in ("a/old", "a/new", "b")]
            for sink in sinks:
                sink.write(b"new ", memoryview(b"bytes"))
                sink.flush()
                sink.write(b"!")
            assert (store.read("a/old"), store.stat("a/new"), store.stat("b")) == (b"old", None, None)
            assert [(sink.size, sink.fact()) for sink in sinks] == [
                (10, FileFact(path, 10, xxhash.xxh3_128_hexdigest(b"new bytes!"))) for path in ("a/old", "a/new", "b")
            ]
            assert (store.read("a/old"), store.stat("a/new"), store.stat("b")) == (b"old", None, None)
            batch.commit()
        assert sorted(files_below(store, "")) == ["a/new", "a/old", "b"]
        assert {store.read(path) for path in files_below(store, "")} == {b"new bytes!"}

    def test_a_file_that_a_library_writes_appears_with_the_others(self, tmp_path: Path) -> None:
        """A library opens it by its path on this machine, and may write before the first byte and after the last."""
        store = self.store(tmp_path)
        with store.batch() as batch:
            sink, scratch = batch.create("a"), batch.scratch("b/c")
            with Path(os.fsdecode(scratch.path)).open("wb") as file:
                file.write(b"0123456789" * 300_000)
                file.flush()
                scratch.flush()
                file.seek(0)
                file.write(b"A")
            sink.write(b"beside")
            written = b"A123456789" + b"0123456789" * 299_999
            assert scratch.fact() == FileFact("b/c", 3_000_000, xxhash.xxh3_128_hexdigest(written))
            assert store.stat("b/c") is None
            batch.commit()
        assert {path: store.read(path) for path in files_below(store, "")} == {"a": b"beside", "b/c": written}

    def test_a_file_that_a_library_began_is_gone_with_its_batch(self, tmp_path: Path) -> None:
        """Wherever it lay."""
        store = self.store(tmp_path)
        with store.batch() as batch:
            scratch = batch.scratch("a")
            path = Path(os.fsdecode(scratch.path))
            path.write_bytes(b"never seen")
        del batch, scratch
        assert list(files_below(store, "")) == []
        assert not path.exists()

    def test_what_a_library_says_becomes_an_error_of_the_output(self, tmp_path: Path) -> None:
        """With what the system refused, if it did; or else the file is to be written again."""
        with self.store(tmp_path).batch() as batch:
            scratch = batch.scratch("a")
            for words in ("write() failed: No space left on device; writing a", "damaged"):
                try:
                    with scratch.errors():
                        raise RuntimeError(words)
                except OutputError as error:
                    assert ("No space left" in error.summary) == ("No space left" in words)  # noqa: PT017

    def test_a_file_is_lent_to_a_library(self, tmp_path: Path) -> None:
        """By a path on this machine, while the context lasts."""
        store = self.store(tmp_path)
        store.publish("a/b", b"bytes")
        with store.lend("a/b") as path:
            assert Path(os.fsdecode(path)).read_bytes() == b"bytes"
        assert store.read("a/b") == b"bytes"
        try:
            with store.lend("a/none"):
                raise AssertionError("a missing file was lent")
        except FileNotFoundError:
            pass

    def test_parts_of_a_file_are_read_in_any_order(self, tmp_path: Path) -> None:
        """A reader has no position, and goes on when the file has lost its name; beyond the end there is nothing."""
        store = self.store(tmp_path)
        assert _raises(FileNotFoundError, store.reader, "a")
        store.publish("a", b"0123456789")
        reader = store.reader("a")
        store.remove("a")
        assert reader.size == 10
        assert [reader.read(*part) for part in ((7, 2), (0, 3), (8, 5), (20, 1), (4, 0))] == [
            b"78", b"012", b"89", b"", b"",
        ]  # fmt: skip

    def test_a_batch_that_is_not_committed_leaves_nothing(self, tmp_path: Path) -> None:
        """Whether it ends by itself or with an error."""
        store = self.store(tmp_path)
        store.publish("old", b"old")
        for error in (None, ValueError):
            try:
                with store.batch() as batch:
                    for path in ("old", "a/b"):
                        sink = batch.create(path)
                        sink.write(b"never seen")
                        sink.flush()
                    if error:
                        raise error
            except ValueError:
                pass
        assert list(files_below(store, "")) == ["old"]
        assert store.read("old") == b"old"

    def test_a_sink_takes_memory_on_loan(self, tmp_path: Path) -> None:
        """What was written may change once ``flush`` has returned; as many buffers as one likes, and large ones."""
        store, memory = self.store(tmp_path), bytearray(3 << 20)
        with store.batch() as batch:
            sink = batch.create("a")
            for number in range(3):
                memory[:] = bytes([number]) * len(memory)
                sink.write(memoryview(memory))
                sink.flush()
            sink.write(*[b"x"] * 5000)
            batch.create("empty")
            batch.commit()
        assert store.read("empty") == b""
        assert store.read("a") == b"".join(bytes([number]) * len(memory) for number in range(3)) + b"x" * 5000

    def test_a_placed_file_is_there_at_once(self, tmp_path: Path) -> None:
        """Over one of its name, and whether or not the batch is committed; ``discard`` takes it away."""
        store = self.store(tmp_path)
        with store.batch() as batch:
            batch.place("a/b/c", b"first")
            assert store.read("a/b/c") == b"first"
            batch.place("a/b/c", memoryview(b"second"))
            batch.place("a/b/d", b"")
            batch.discard("a/b/d")
            batch.discard("a/b/never")
        assert list(files_below(store, "")) == ["a/b/c"]
        assert store.read("a/b/c") == b"second"

    def test_a_document_is_published_read_and_removed(self, tmp_path: Path) -> None:
        """Reading gives the bytes from the start, in as many pieces as one likes."""
        store = self.store(tmp_path)
        store.publish("a/b", b"one")
        store.publish("a/b", b"two and more")
        assert store.read("a/b") == b"two and more"
        with store.open("a/b") as file:
            assert (file.read(3), file.read(), file.read()) == (b"two", b" and more", b"")
            assert file.seek(4) == 4
            assert file.read(3) == b"and"
        store.remove("a/b")
        assert (store.stat("a/b"), list(files_below(store, ""))) == (None, [])

    def test_a_listing_has_sorted_names(self, tmp_path: Path) -> None:
        """Of files and of folders, hidden and odd ones, too; a folder is not a file."""
        store = self.store(tmp_path)
        names = [".hidden", "B", "a", "a b", "a.txt", "ü"]
        for name in reversed(names):
            store.publish(f"x/{name}", b"")
            store.publish(f"x/of {name}/y", b"")
        assert store.list("") == Listing([], ["x"])
        assert store.list("x") == Listing(names, sorted(f"of {name}" for name in names))
        assert store.list("x/a") == store.list("x/none") == Listing([], [])
        assert (store.stat("x"), store.stat("x/of a")) == (None, None)
        assert _raises(OSError, store.read, "x")

    def test_a_folder_goes_only_if_it_is_empty(self, tmp_path: Path) -> None:
        """And with its last file or by ``remove_folder``, whichever the store does."""
        store = self.store(tmp_path)
        store.publish("a/b/c", b"")
        store.remove_folder("a/b")
        store.remove_folder("a")
        assert list(files_below(store, "")) == ["a/b/c"]
        store.remove("a/b/c")
        store.remove_folder("a/b")
        store.remove_folder("a")
        assert store.list("") == Listing([], [])

    def test_the_version_changes_when_a_file_is_written_again(self, tmp_path: Path) -> None:
        """However soon, in whichever way, and with the same bytes."""
        store = self.store(tmp_path)
        store.publish("a", b"same")
        for write in (_publish, _create, _place) * 5:
            before = store.stat("a")
            assert before == store.stat("a")
            write(store, "a", b"same")
            after = store.stat("a")
            assert before and after and after.size == 4  # noqa: PT018
            assert after.version != before.version

    def test_writers_hold_it_together_or_alone(self, tmp_path: Path) -> None:
        """A writer that must be alone is refused while there are others, and others are refused beside it."""
        store = self.store(tmp_path)
        store.publish("a", b"")
        for _ in range(2):
            with store.hold(alone=False), store.hold(alone=False):
                assert _is_refused(store, alone=True)
            with store.hold(alone=True):
                assert _is_refused(store, alone=False)
                assert _is_refused(store, alone=True)
        assert list(files_below(store, "")) == ["a"]

    def test_a_turn_is_for_one_alone(self, tmp_path: Path) -> None:
        """Others wait until it is over."""
        store, inside, most = self.store(tmp_path), list[int](), list[int]()

        def take_turns() -> None:
            for _ in range(20):
                with store.turn():
                    inside.append(1)
                    store.publish("a", b"")
                    most.append(len(inside))
                    inside.pop()

        _all_at_once([threading.Thread(target=take_turns) for _ in range(4)])
        assert (len(most), set(most)) == (80, {1})

    def test_a_sweep_takes_nothing_that_is_complete_or_being_written(self, tmp_path: Path) -> None:
        """Other writers may be at work."""
        store = self.store(tmp_path)
        store.publish("a/b", b"complete")
        with store.batch() as batch:
            batch.create("a/c").write(b"being written")
            store.sweep()
            batch.commit()
        store.sweep()
        assert sorted(files_below(store, "")) == ["a/b", "a/c"]

    def test_a_store_that_links_gives_a_file_two_names(self, tmp_path: Path) -> None:
        """At once, over what has the name; the file of the source stays as it is."""
        store, file = self.store(tmp_path / "store"), _local(tmp_path)
        if not store.links:
            return
        store.try_link(str(file), symbolic=False)
        assert list(files_below(store, "")) == []
        store.publish("a/b", b"of an earlier run")
        with store.batch() as batch:
            batch.link("a/b", str(file))
            assert _raises(SourceError, batch.link, "a/c", f"{file}.gone")
            batch.commit()
        assert (store.read("a/b"), store.is_same("a/b", str(file)), file.stat().st_nlink) == (b"local", True, 2)
        store.remove("a/b")
        assert file.read_bytes() == b"local"

    def test_a_store_that_links_makes_symbolic_ones(self, tmp_path: Path) -> None:
        """Which lead to the file, and are not the file."""
        store, file = self.store(tmp_path / "store"), _local(tmp_path)
        if not store.links:
            return
        store.try_link(str(file), symbolic=True)
        with store.batch() as batch:
            batch.link("a/b", str(file), symbolic=True)
            batch.commit()
        assert (store.read("a/b"), store.is_same("a/b", str(file)), file.stat().st_nlink) == (b"local", False, 1)

    def test_a_store_that_links_gives_a_name_back(self, tmp_path: Path) -> None:
        """Its folders are made again, and nothing is ever replaced."""
        store, file = self.store(tmp_path / "store"), _local(tmp_path)
        if not store.links:
            return
        with store.batch() as batch:
            batch.link("a/b", str(file))
            batch.commit()
        inode = file.stat().st_ino
        file.unlink()
        file.write_bytes(b"of somebody else")
        assert not store.is_same("a/b", str(file))
        assert _raises(FileExistsError, store.give_back, "a/b", str(file))
        assert (file.read_bytes(), store.read("a/b")) == (b"of somebody else", b"local")
        file.unlink()
        file.parent.rmdir()
        store.give_back("a/b", str(file))
        assert (file.stat().st_ino, file.read_bytes(), store.stat("a/b")) == (inode, b"local", None)


def _publish(store: Store, path: str, data: bytes) -> None:
    store.publish(path, data)


def _create(store: Store, path: str, data: bytes) -> None:
    with store.batch() as batch:
        sink = batch.create(path)
        sink.write(data)
        sink.flush()
        batch.commit()


def _place(store: Store, path: str, data: bytes) -> None:
    with store.batch() as batch:
        batch.place(path, data)
        batch.commit()


def _local(folder: Path) -> Path:
    file = folder / "local" / "file"
    file.parent.mkdir()
    file.write_bytes(b"local")
    return file


def _raises(kind: type[BaseException], call: Any, *arguments: Any) -> bool:
    """Whether a call raises that; without pytest, which the package does not need."""
    try:
        given = call(*arguments)
    except kind:
        return True
    if isinstance(given, io.IOBase):
        given.close()
    return False


def _is_refused(store: Store, *, alone: bool) -> bool:
    return _raises(OtherBuildError, store.hold(alone=alone).__enter__)


def _all_at_once(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

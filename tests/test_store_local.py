"""A local folder: a final name means complete, and what a killed writer left can be told from what is being written."""

import os
import re
import socket
from pathlib import Path

import pytest
import xxhash

from imagenet_prep.errors import OutputError
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.stores.publish import Publication, publish_bytes
from imagenet_prep.stores.space import check_space
from imagenet_prep.stores.temporary import sweep
from imagenet_prep.stores.tree import Tree
from support.sentences import Sentence

pytestmark = pytest.mark.quick

HOST = re.sub(r"[^\w-]", "_", socket.gethostname())


class TestPublication:
    def test_a_file_has_its_name_only_when_it_is_finished(self, tmp_path: Path) -> None:
        with Publication(tmp_path) as files:
            os.write(files.create("folder/shard"), b"whole")
            assert not (tmp_path / "folder/shard").exists()
            files.finish([FileFact("folder/shard", 5, xxhash.xxh3_128_hexdigest(b"whole"))])
            assert (tmp_path / "folder/shard").read_bytes() == b"whole"

    def test_what_is_not_finished_leaves_no_trace(self, tmp_path: Path) -> None:
        with Publication(tmp_path) as files:
            os.write(files.create("shard"), b"half")
        assert list(tmp_path.iterdir()) == []

    def test_contents_reach_the_disk_before_the_name_does(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        order: list[str] = []
        sync, replace = os.fsync, os.replace

        def noted_sync(descriptor: int) -> None:
            order.append("sync")
            sync(descriptor)

        def noted_replace(path: str, to: str) -> None:
            order.append("name")
            replace(path, to)

        monkeypatch.setattr(os, "fsync", noted_sync)
        monkeypatch.setattr(os, "replace", noted_replace)
        publish_bytes(tmp_path / "file", b"x")
        assert order == ["sync", "name", "sync"]  # contents, name, folder

    def test_an_existing_file_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"a longer text that was there before")
        publish_bytes(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"

    def test_a_file_in_the_way_of_a_folder_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "tfds").write_text("")
        with pytest.raises(OutputError, match=r"tfds/shard: (Not a directory|File exists)"):
            publish_bytes(tmp_path / "tfds" / "shard", b"x")

    def test_leftovers_of_dead_writers_are_swept_and_those_of_living_ones_are_not(self, tmp_path: Path) -> None:
        swept = {f".a.{HOST}.prep-0123456789ab.part", f".a.{HOST}.1.part", f".b.{HOST}.{os.getpid()}.part"}
        others = {".c.elsewhere.prep-0123456789ab.part", ".c.elsewhere.1.part", ".d.part", f".e.{HOST}.1x.part"}
        for name in swept | others:
            (tmp_path / name).write_text("")
        with Publication(tmp_path) as files:
            files.create("f")
            living = {path.name for path in tmp_path.iterdir()} - swept - others
            assert len(living) == 1
            assert sweep(tmp_path, depth=0) == len(swept)
            assert {path.name for path in tmp_path.iterdir()} == others | living

    def test_links_that_a_killed_run_left_are_swept_and_what_they_lead_to_stays(self, tmp_path: Path) -> None:
        theirs = tmp_path / "theirs"
        theirs.write_text("x")
        theirs.chmod(0o444)
        (tmp_path / f".a.{HOST}.prep-0123456789ab.part").symlink_to(theirs)
        (tmp_path / f".b.{HOST}.prep-0123456789ab.part").hardlink_to(theirs)
        assert sweep(tmp_path, depth=0) == 2
        assert [path.name for path in tmp_path.iterdir()] == ["theirs"]

    def test_what_is_half_written_lies_at_the_top_whatever_the_depth_of_its_place(self, tmp_path: Path) -> None:
        with Publication(tmp_path) as files:
            for path in ("a/b/c", "a/d/c", "c"):  # of one base name, which must not be one file
                files.create(path)
            assert len([path for path in tmp_path.rglob("*.part") if len(path.relative_to(tmp_path).parts) <= 2]) == 3
            assert sweep(tmp_path, depth=1) == 0
            assert sweep(tmp_path, depth=0, own=True) == 1
            assert sweep(tmp_path, depth=1, own=True) == 2

    def test_a_name_of_the_greatest_length_can_be_a_folder(self, tmp_path: Path) -> None:
        path = f"train/{'é' * 127}/n01440764_10026.JPEG"
        tree = Tree(tmp_path)
        tree.place(path, b"image")
        assert (tmp_path / path).read_bytes() == b"image"


class TestSpace:
    def test_enough_is_enough(self, tmp_path: Path) -> None:
        check_space(tmp_path / "not" / "yet" / "there", 1)

    def test_too_little_is_said_in_gigabytes(self, tmp_path: Path, sentence: Sentence) -> None:
        with pytest.raises(OutputError) as caught:
            check_space(tmp_path / "data", 10**18)
        sentence(caught.value)

"""The tar walk: every member of every dialect by its header alone, and no damage that passes for a shorter archive."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from imagenet_prep.codecs.tar import Member, Missing, TarRange, walk
from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.testing.archives import tar_of
from support.sentences import Sentence, places

pytestmark = pytest.mark.quick

END = bytes(1024)
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def header(
    name: bytes = b"a.JPEG",
    size: int | bytes = 0,
    kind: bytes = b"0",
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    *,
    signed: bool = False,
) -> bytes:
    """A header block, field by field; ``size`` as bytes is the field as it stands."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[257 : 257 + len(magic)] = magic
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b" " * 8
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in block)
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


def member(data: bytes, **fields: bytes) -> bytes:
    return header(size=len(data), **fields) + padded(data)  # type: ignore[arg-type]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    """A pax header with records as they stand."""
    return member(b"".join(records), name=b"PaxHeaders/a", kind=kind)


def record(key: str, value: str) -> bytes:
    text = f" {key}={value}\n".encode()
    length = next(length for length in itertools.count(len(text)) if length == len(text) + len(str(length)))
    return str(length).encode() + text


@contextlib.contextmanager
def range_of(data: bytes, start: int = 0, end: int | None = None, container: str = "") -> Iterator[TarRange]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield TarRange(file.fileno(), "some.tar", container, start, len(data) if end is None else end)


def walked(data: bytes) -> list[Member | Missing]:
    """Every member; at most a few more than fit, so that an endless walk is a failure and not a hang."""
    with range_of(data) as tar:
        found = list(itertools.islice(walk(tar), len(data) // 512 + 10))
    assert len(found) <= len(data) // 512 + 1, "the walk is endless"
    return found


def damage(data: bytes) -> Problem:
    with pytest.raises(SourceError) as caught, within_seconds(2):
        walked(data)
    assert caught.value.remedy.startswith("The archive is damaged: download it again")
    (problem,) = caught.value.problems
    return problem


@contextlib.contextmanager
def within_seconds(seconds: int) -> Iterator[None]:
    """Turn a hang into a failure."""

    def stop(*_: object) -> None:
        raise AssertionError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def by_tarfile(data: bytes) -> list[Member]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [Member(each.name, each.offset_data, each.size, each.type) for each in archive]


# --- What a walk finds ------------------------------------------------------------------------------------------------


def test_a_member_has_a_name_the_place_of_its_data_a_size_and_a_type() -> None:
    data = member(b"x" * 600, name=b"one.JPEG") + member(b"yy", name=b"two.JPEG") + END

    assert walked(data) == [Member("one.JPEG", 512, 600, b"0"), Member("two.JPEG", 2048, 2, b"0")]


@pytest.mark.parametrize(("size", "second"), [(0, 512), (1, 1024), (511, 1024), (512, 1024), (513, 1536)])
def test_data_is_padded_to_whole_blocks(size: int, second: int) -> None:
    data = member(bytes(size)) + member(b"next", name=b"next") + END

    assert walked(data)[1] == Member("next", second + 512, 4, b"0")


def test_nothing_is_read_but_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, int]] = []
    real = os.pread

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        read.append((offset, size))
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    walked(member(b"x" * 5000, name=b"one") + member(b"y" * 5000, name=b"two") + END)

    data = [range(512, 512 + 5120), range(512 + 5120 + 512, 2 * (512 + 5120))]
    assert [offset for offset, _ in read if any(offset in part for part in data)] == []


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
NAMES = st.builds(lambda text, times: (text * times)[:300], TEXT, st.sampled_from((1, 1, 3, 30)))
KINDS = st.sampled_from((tarfile.REGTYPE, tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE))
SIZES = st.sampled_from((0, 1, 511, 512, 513, 1400))


@given(st.sampled_from(sorted(FORMATS)), st.lists(st.tuples(NAMES, SIZES, KINDS, NAMES), max_size=6))
@settings(max_examples=150, deadline=None)
def test_what_tarfile_writes_is_found_as_tarfile_lists_it(
    dialect: str, members: list[tuple[str, int, bytes, str]]
) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=FORMATS[dialect]) as archive:
        for name, size, kind, link in members:
            info = tarfile.TarInfo(name.strip("/"))
            info.type, info.size = kind, size if kind == tarfile.REGTYPE else 0
            info.linkname = link if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            assume(info.name)
            try:
                archive.addfile(info, io.BytesIO(bytes(info.size)))
            except (ValueError, UnicodeError):  # ustar has no room for such a name
                assume(False)

    found = walked(file.getvalue())

    assert [each._replace(name=each.name.rstrip("/")) for each in found if isinstance(each, Member)] == by_tarfile(
        file.getvalue()
    )
    assert not any(isinstance(each, Missing) for each in found)


GNU_TAR = shutil.which("gtar") or shutil.which("tar") or "tar"


@pytest.mark.parametrize("dialect", ["v7", "oldgnu", "gnu", "ustar", "pax"])
def test_what_gnu_tar_writes_is_found_as_tarfile_lists_it(dialect: str, tmp_path: Path) -> None:
    if b"GNU tar" not in subprocess.run([GNU_TAR, "--version"], capture_output=True, check=True).stdout:
        pytest.skip("this tar is not GNU's")
    folder = tmp_path / "n01440764"
    folder.mkdir()
    (folder / "n01440764_1.JPEG").write_bytes(b"x" * 700)
    (folder / "n01440764_2.JPEG").hardlink_to(folder / "n01440764_1.JPEG")
    (folder / "n01440764_3.JPEG").symlink_to("n01440764_1.JPEG")
    if dialect in ("gnu", "pax"):
        (folder / ("long" * 50 + ".JPEG")).write_bytes(b"y" * 513)

    made = subprocess.run(
        [GNU_TAR, "-C", str(tmp_path), f"--format={dialect}", "--sort=name", "-cf", "-", "n01440764"],
        capture_output=True,
        check=True,
    ).stdout
    found = [each for each in walked(made) if isinstance(each, Member)]

    listed = by_tarfile(made)
    assert [(each.offset, each.size) for each in found] == [(each.offset, each.size) for each in listed]
    assert [each.name.rstrip("/") for each in found] == [each.name for each in listed]
    assert sum(each.is_file for each in found) == (2 if dialect in ("gnu", "pax") else 1)


# --- Names and sizes of every dialect ---------------------------------------------------------------------------------


def test_a_name_of_100_bytes_fills_its_field_without_an_end_mark() -> None:
    assert walked(header(b"n" * 100) + END) == [Member("n" * 100, 512, 0, b"0")]


def test_a_ustar_prefix_stands_before_the_name() -> None:
    assert walked(header(b"a.JPEG", prefix=b"folder/inner") + END)[0] == Member("folder/inner/a.JPEG", 512, 0, b"0")


def test_times_in_a_gnu_header_are_no_prefix() -> None:
    """GNU tar's incremental archives hold access times where ustar has the prefix; the magic tells them apart."""
    block = header(b"a.JPEG", magic=b"ustar  \0", prefix=b"15300554703\x0015300554703\0")

    assert walked(block + END) == [Member("a.JPEG", 512, 0, b"0")]


def test_a_gnu_long_name_belongs_to_the_member_behind_it_only() -> None:
    long = b"n" * 700 + b".JPEG"
    data = member(long + b"\0", name=b"././@LongLink", kind=b"L") + member(b"x", name=long[:100]) + header() + END

    assert walked(data) == [Member(long.decode(), 512 + 1024 + 512, 1, b"0"), Member("a.JPEG", 3072, 0, b"0")]


def test_a_long_link_target_is_not_the_name() -> None:
    data = member(b"t" * 200 + b"\0", name=b"././@LongLink", kind=b"K") + header(b"link.JPEG", kind=b"2") + END

    assert walked(data) == [Member("link.JPEG", 1536, 0, b"2")]


@pytest.mark.parametrize("path", ["a name=with an equals sign", "two\nlines", "tench/Schleie/линь/テンチ", "x" * 997])
def test_a_pax_path_takes_the_place_of_the_name(path: str) -> None:
    data = pax(record("path", path), record("comment", "no matter")) + member(b"x", name=b"short") + header() + END

    found = walked(data)

    assert [each.name for each in found if isinstance(each, Member)] == [path, "a.JPEG"]


def test_a_pax_size_takes_the_place_of_the_size() -> None:
    data = pax(record("size", "700")) + header(b"big", 0) + padded(b"x" * 700) + member(b"y", name=b"next") + END

    assert walked(data) == [Member("big", 1536, 700, b"0"), Member("next", 3072, 1, b"0")]


def test_a_global_pax_header_as_git_writes_it_changes_nothing() -> None:
    data = pax(record("comment", "44b2d34f"), kind=b"g") + header(b"first") + header(b"second") + END

    assert [each.name for each in walked(data) if isinstance(each, Member)] == ["first", "second"]


def test_the_nul_of_a_pax_path_stays_in_the_name() -> None:
    data = tar_of([("n01440764_1.JPEG\0.txt", b"x")])

    assert [each.name for each in walked(data) if isinstance(each, Member)] == ["n01440764_1.JPEG\0.txt"]


@pytest.mark.parametrize(
    "field",
    [b"00000001000\0", b"00000001000 ", b"000000001000", b"       1000 ", b"1000".ljust(12, b"\0"),
     b"\x80" + bytes(9) + b"\2\0"],
    ids=["octal", "blank-ended", "unended", "blank-filled", "short", "base-256"],
)  # fmt: skip
def test_a_size_of_512_bytes_may_be_written_in_many_ways(field: bytes) -> None:
    data = header(size=field) + bytes(512) + header(b"next") + END

    assert walked(data) == [Member("a.JPEG", 512, 512, b"0"), Member("next", 1536, 0, b"0")]


def test_the_oldest_headers_have_no_type_and_no_magic() -> None:
    data = member(b"x", kind=b"\0", magic=b"") + header(b"folder/", kind=b"\0", magic=b"") + END

    file, folder = walked(data)

    assert isinstance(file, Member)
    assert isinstance(folder, Member)
    assert (file.name, file.size, file.is_file) == ("a.JPEG", 1, True)
    assert (folder.name, folder.type) == ("folder", b"5")


def test_suns_signed_checksum_is_accepted() -> None:
    name = "é.JPEG".encode("latin-1")

    assert walked(header(name, signed=True) + END) == [Member("\udce9.JPEG", 512, 0, b"0")]


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_links_devices_and_folders_have_no_data_whatever_their_size_says(kind: bytes) -> None:
    data = header(b"odd", 5000, kind) + header(b"next") + END

    assert walked(data) == [Member("odd", 512, 0, kind), Member("next", 1024, 0, b"0")]


@pytest.mark.parametrize(("kind", "is_file"), [(b"0", True), (b"\0", True), (b"7", True), (b"1", False), (b"S", False)])
def test_only_data_that_lies_there_as_it_is_counts_as_a_file(kind: bytes, is_file: bool) -> None:
    (found,) = walked(header(kind=kind) + END)

    assert isinstance(found, Member)
    assert found.is_file is is_file


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_a_sparse_file_in_a_pax_archive_is_no_file_either(version: str) -> None:
    """Its data lies there without the holes: taken as it is, it would be another image."""
    records = {
        "0.0": [record("GNU.sparse.size", "9000"), record("GNU.sparse.numblocks", "1")],
        "0.1": [record("GNU.sparse.size", "9000"), record("GNU.sparse.map", "0,512")],
        "1.0": [record("GNU.sparse.major", "1"), record("GNU.sparse.realsize", "9000")],
    }[version]
    data = pax(*records) + member(b"x" * 512) + END

    assert [each.is_file for each in walked(data) if isinstance(each, Member)] == [False]


# --- A tar inside a tar -----------------------------------------------------------------------------------------------


def test_a_tar_inside_a_tar_is_walked_in_place() -> None:
    inner = member(b"xyz", name=b"n01440764_1.JPEG") + END
    outer = member(b"first", name=b"other") + member(inner, name=b"n01440764.tar") + END

    with range_of(outer, 1536, 1536 + len(inner)) as tar:
        assert list(walk(tar)) == [Member("n01440764_1.JPEG", 2048, 3, b"0")]


def test_a_member_must_not_reach_into_the_next_class_tar(sentence: Sentence) -> None:
    inner = member(b"x" * 2000, name=b"n01440764_1.JPEG")[:-1024]

    with (
        range_of(inner + bytes(9000), 0, len(inner), "n01440764.tar") as tar,
        pytest.raises(SourceError) as caught,
    ):
        list(walk(tar))

    sentence(caught.value)


# --- Damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "block",
    [header(b"plain.JPEG", 700), header(b"a.JPEG", 700, prefix=b"with/prefix"), header(b"v7", 700, b"\0", b"")],
    ids=["gnu-or-ustar", "prefix", "v7"],
)
def test_every_flipped_bit_of_a_header_is_found_by_its_checksum(block: bytes) -> None:
    data = bytearray(block + bytes(1024) + END)
    whole = walked(bytes(data))
    unseen = []
    with range_of(bytes(data)) as tar:
        for bit in range(512 * 8):
            data[bit // 8] ^= 1 << bit % 8
            os.pwrite(tar.descriptor, data[:512], 0)
            data[bit // 8] ^= 1 << bit % 8
            try:
                unseen += [] if list(walk(tar)) == whole else [bit // 8]
            except SourceError as error:
                assert "some.tar at byte 0: this is not a tar header" in str(error)  # noqa: PT017
    assert unseen == []


def test_a_header_that_is_none_is_named_with_its_offset(sentence: Sentence) -> None:
    data = member(b"x" * 600) + b"\xff" * 512 + END

    problem = damage(data)
    assert places([problem]) == ["some.tar at byte 1,536"]
    sentence(problem)


def test_a_claim_of_two_to_the_sixty_bytes_is_believed_by_nobody(sentence: Sentence) -> None:
    data = header(b"huge.JPEG", b"\x80" + (1 << 60).to_bytes(11, "big")) + END

    problem = damage(data)
    assert places([problem]) == ["some.tar: huge.JPEG at byte 512"]
    sentence(problem)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_a_header_extension_must_be_small(kind: bytes, sentence: Sentence) -> None:
    data = header(b"extension", b"\x80" + (1 << 60).to_bytes(11, "big"), kind) + END

    problem = damage(data)
    assert places([problem]) == ["some.tar at byte 512"]
    sentence(problem, alike=True)


def test_a_name_of_two_megabytes_is_believed_by_nobody_even_if_it_is_there(sentence: Sentence) -> None:
    data = member(b"n" * (2 << 20), name=b"././@LongLink", kind=b"L") + header() + END

    problem = damage(data)
    assert places([problem]) == ["some.tar at byte 512"]
    sentence(problem)


@pytest.mark.parametrize(
    "field",
    [b"\xff" * 12, b"\xff" * 10 + b"\xfe\0", b"-0000000001\0", b"-0000001000\0", b"-0000002000\0", b"-7777777777\0"],
)
def test_a_negative_size_is_damage_and_never_a_way_back(field: bytes, sentence: Sentence) -> None:
    problem = damage(header(b"back.JPEG", field) + END)
    assert places([problem]) == ["some.tar at byte 0"]
    sentence(problem, alike=True)


@pytest.mark.parametrize("size", ["-1", "1e3", "", "0x10", " 5", "٣", "1" * 30])
def test_a_pax_size_must_be_a_number(size: str, sentence: Sentence) -> None:
    data = pax(record("size", size)) + member(b"x") + END

    problem = damage(data)
    assert places([problem]) == ["some.tar at byte 1,536"]
    sentence(problem)


def test_a_pax_size_beyond_the_end_is_a_cut_archive(sentence: Sentence) -> None:
    data = pax(record("size", str(1 << 60))) + member(b"x") + END

    problem = damage(data)
    assert places([problem]) == ["some.tar: a.JPEG at byte 1,536"]
    sentence(problem)


@pytest.mark.parametrize(
    "records",
    [
        b"path=abc\n",
        b"0 path=abc\n",
        b"99 path=abc\n",
        b"12 path=ab\n",
        b"-2 path=abc\n",
        b"12 path:abc\n",
        b"12 path=abcd",
        b"12 path=abc\nnonsense without a length",
        b"12 path=abc\n00000000000000013 path=abc\n",
    ],
)
def test_a_malformed_pax_header_is_damage(records: bytes, sentence: Sentence) -> None:
    sentence(damage(pax(records) + header() + END).reason, alike=True)


def test_an_archive_cut_anywhere_is_never_taken_for_a_shorter_one() -> None:
    """Every cut gives an error, or a missing end block; or it only took zeros from the end."""
    data = tar_of([("one.JPEG", b"x" * 600), ("n" * 150 + ".JPEG", b"y"), ("three.JPEG", b"")])
    whole = walked(data)
    with range_of(data) as tar:
        for size in range(len(data) - 1, -1, -1):
            os.ftruncate(tar.descriptor, size)
            try:
                found = list(walk(tar._replace(end=size)))
            except SourceError:
                continue
            assert found == whole or isinstance(found[-1], Missing), size


CUT = "the end-of-archive block is missing: the archive was cut between two members"


def test_a_cut_between_two_members_leaves_no_end_block() -> None:
    data = member(b"x" * 600, name=b"one") + member(b"y", name=b"two")

    assert walked(data)[-1] == Missing(2560, CUT)
    assert walked(data[:1536]) == [Member("one", 512, 600, b"0"), Missing(1536, CUT)]


def test_a_cut_in_a_header_says_so(sentence: Sentence) -> None:
    problem = damage(member(b"x", name=b"one") + header()[:100])
    assert places([problem]) == ["some.tar at byte 1,024"]
    sentence(problem)


def test_one_block_of_zeros_ends_an_archive() -> None:
    assert walked(header() + bytes(512)) == [Member("a.JPEG", 512, 0, b"0")]


def test_a_file_allocated_in_advance_and_never_filled_is_unfinished(sentence: Sentence) -> None:
    problem = damage(header() + bytes(2 << 20))
    assert places([problem]) == ["some.tar at byte 512"]
    sentence(problem)


def test_a_header_lost_as_zeros_does_not_hide_the_members_behind_it() -> None:
    """A bad disk sector reads as zeros, and so looks like the end of the archive: more data behind it says no."""
    data = member(b"x", name=b"one") + bytes(512) + padded(b"the data of two") + member(b"z", name=b"three") + END

    with contextlib.suppress(SourceError):
        assert isinstance(walked(data)[-1], Missing)


@given(st.binary(max_size=3000))
@settings(max_examples=100, deadline=None)
def test_of_any_bytes_the_walk_says_something_or_calls_them_damaged(data: bytes) -> None:
    with contextlib.suppress(SourceError), within_seconds(2):
        walked(data)


SOUND = bytearray(
    pax(record("path", "p" * 120), record("size", "600")) + header() + padded(b"x" * 600)
    + tar_of([("n" * 150, b"y" * 100), ("plain.JPEG", b"z" * 900)])
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=8), st.booleans())
@settings(max_examples=300, deadline=None)
def test_however_an_archive_is_damaged_members_lie_inside_it_and_one_behind_another(
    changes: list[tuple[int, int]], mend: bool
) -> None:
    data = bytearray(SOUND)
    for place, value in changes:
        data[place] = value
        if mend:  # a checksum that fits, as an attacker would make it
            start = place // 512 * 512
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    try:
        with within_seconds(2):
            found = walked(bytes(data))
    except SourceError:
        return
    places = [(each.offset, each.size) for each in found if isinstance(each, Member)]
    assert all(size >= 0 and offset + size <= len(data) for offset, size in places)
    assert all(offset + size < later for (offset, size), (later, _) in itertools.pairwise(places))

"""From Python: whatever is given that is not what the annotation says ends in a UsageError with the name of the field,
and nothing is written. What means the same is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest

import imagenet_prep as prep
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.sentences import Sentence

OPTIONS: dict[type[Any], dict[str, Any]] = {  # and the fields that one cannot do without
    prep.Selection: {},
    prep.Folders: {},
    prep.TFRecord: {},
    prep.Tfds: {},
    prep.Mds: {},
    prep.LitData: {},
    prep.WebDataset: {},
    prep.Parquet: {},
    prep.ArrayRecord: {},
    prep.Recipe: {},
    prep.BuildOptions: {},
    prep.IndexOptions: {},
    prep.CheckOptions: {},
    prep.AuditOptions: {},
    prep.UrlOptions: {},
    prep.TorrentOptions: {"torrents": ("train",)},
    MiniatureOptions: {},
}
FIELDS = [(kind, field.name) for kind in OPTIONS for field in fields(kind)]
NEVER = [object(), b"train", 1j, {1: 2}, [None], (3.5,), ["?", 1], "?" * 100_000]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    small = MiniatureOptions(wnids=("n01440764", "n02917067"), images_per_class=4, validation_per_class=2, boxes=False)
    return write_miniature(tmp_path / "source", small).root


def made(kind: type[Any], **values: Any) -> Any:
    return kind(**OPTIONS[kind] | values)


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=lambda part: getattr(part, "__name__", part))
def test_what_no_field_can_be_is_named_by_its_field(kind: type[Any], name: str) -> None:
    for value in NEVER:
        if isinstance(value, str) and isinstance(getattr(made(kind), name), str | Path | None):
            continue  # a text where a text or a path belongs
        with pytest.raises(prep.UsageError) as caught:
            made(kind, **{name: value})
        assert name in str(caught.value)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=lambda part: getattr(part, "__name__", part))
def test_none_is_taken_only_where_it_is_the_default(kind: type[Any], name: str) -> None:
    if getattr(made(kind), name) is None:
        assert getattr(made(kind, **{name: None}), name) is None
        return
    with pytest.raises(prep.UsageError, match=name):
        made(kind, **{name: None})


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (prep.BuildOptions, "jobs", -1),
        (prep.BuildOptions, "jobs", 1.0),
        (prep.BuildOptions, "jobs", "2"),
        (prep.BuildOptions, "jobs", True),
        (prep.BuildOptions, "jobs", 10**9),
        (prep.CheckOptions, "jobs", -1),
        (prep.IndexOptions, "jobs", -1),
        (prep.AuditOptions, "jobs", -1),
        (prep.Selection, "limit", "110%"),
        (prep.Selection, "limit", "ten"),
        (prep.Selection, "limit", math.nan),
        (prep.Selection, "limit", math.inf),
        (prep.Selection, "limit", -1),
        (prep.Selection, "limit", -0.1),
        (prep.Selection, "limit", 1.5),
        (prep.Selection, "limit", True),
        (prep.Selection, "seed", "a"),
        (prep.Selection, "seed", 0.5),
        (prep.Selection, "seed", 2**64),
        (prep.Selection, "seed", np.float64(1)),
        (prep.Selection, "test_per_class", -1),
        (prep.Selection, "test_per_class", 2.5),
        (prep.Selection, "test_per_class", 10**30),
        (prep.Selection, "images_per_class", -5),
        (prep.Recipe, "outputs", "tfrecord"),
        (prep.Recipe, "outputs", {"tfrecord": 1}),
        (prep.Selection, "splits", "everything"),
        (prep.Selection, "classes", "imagenettes"),
        (prep.Selection, "classes", ("n01440764x",)),
        (prep.Selection, "classes", (1.0,)),
        (prep.Selection, "exclude", "n01440764_10.JPEG"),
        (prep.Selection, "test_list", (1,)),
        (prep.TFRecord, "shards", {"train": 1.5}),
        (prep.TFRecord, "shards", {"train": True}),
        (prep.TFRecord, "shards", "train=4"),
        (prep.TFRecord, "shards", {"train": 0}),
        (prep.TFRecord, "shards", [("train", 4)]),
        (prep.Folders, "names", "short"),
        (prep.Folders, "transfer", True),
        (prep.BuildOptions, "on_bad", "ignore"),
        (prep.BuildOptions, "check", "none"),
        (prep.BuildOptions, "trust_labels", 1),
        (prep.Selection, "taxonomy", {"n01440764": "fish"}),
        (prep.AuditOptions, "sample", math.nan),
        (prep.AuditOptions, "sample", "10%"),
        (prep.AuditOptions, "decode", "yes"),
        (prep.IndexOptions, "cache", b"catalog"),
        (prep.IndexOptions, "cache", ""),
        (prep.IndexOptions, "cache", "a\0b"),
        (prep.UrlOptions, "urls", "https://example.org/ILSVRC2012_img_train.tar"),
        (prep.UrlOptions, "timeout", math.inf),
        (prep.UrlOptions, "retries", 1.5),
        (prep.UrlOptions, "rate", -1),
        (prep.TorrentOptions, "torrents", "train"),
        (prep.TorrentOptions, "accept_terms", "no"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(kind: type[Any], name: str, value: Any) -> None:
    with pytest.raises(prep.UsageError, match=name):
        made(kind, **{name: value})


def test_a_number_that_python_makes_no_text_of_is_refused() -> None:
    with pytest.raises(prep.UsageError, match="seed"):
        prep.BuildOptions.of(seed=10**5000)


def test_the_error_says_how_a_share_is_written(sentence: Sentence) -> None:
    with pytest.raises(prep.UsageError) as caught:
        prep.BuildOptions.of(limit="10 %")
    sentence(caught.value)


def test_what_means_the_same_is_taken() -> None:
    given: dict[str, Any] = {
        "format": ["tfds", "tfrecord"],
        "splits": (split for split in ("train", "test")),
        "seed": np.int64(3),
        "jobs": np.uint8(2),
        "limit": np.float64(0.5),
        "classes": np.array([5, 3]),
        "exclude": {"n01440764_10.JPEG"},
        "shards": {np.str_("train"): np.int32(4)},
        "trust_labels": np.bool_(True),
    }

    options = prep.BuildOptions.of(**given)

    assert options == prep.BuildOptions.of(
        format=("tfrecord", "tfds"),
        splits=("train", "test"),
        seed=3,
        jobs=2,
        limit=0.5,
        classes=(3, 5),
        exclude=("n01440764_10.JPEG",),
        shards={"train": 4},
        trust_labels=True,
    )
    assert type(options.recipe.selection.seed) is int
    assert options.recipe.document()["selection"]["seed"] == 3


def test_python_takes_what_the_command_line_takes() -> None:
    assert prep.Selection(limit="10%") == prep.Selection(limit=0.1)  # type: ignore[arg-type]
    assert prep.Selection(splits="train") == prep.Selection(splits=("train",))  # type: ignore[arg-type]
    assert len(prep.Selection(classes="imagenette").classes) == 10  # type: ignore[arg-type]


def test_a_path_may_be_a_text() -> None:
    assert prep.IndexOptions(cache="a/b").cache == Path("a/b")  # type: ignore[arg-type]
    assert prep.UrlOptions(url_files=["list"]).url_files == (Path("list"),)  # type: ignore[arg-type]


SMALL = prep.BuildOptions.of(test_per_class=1, jobs=1)
CALLS: list[tuple[str, Callable[[Any, Path, Path], object]]] = [
    ("source", lambda bad, _source, out: prep.build(bad, out, SMALL)),
    ("source", lambda bad, _source, _out: prep.check(bad)),
    ("source", lambda bad, _source, _out: prep.index(bad)),
    ("out", lambda bad, source, _out: prep.build(source, bad, SMALL)),
    ("out", lambda bad, _source, _out: prep.audit(bad)),
    ("out", lambda bad, _source, _out: prep.audit_foreign(bad)),
    ("out", lambda bad, _source, _out: prep.undo(bad)),
    ("folder", lambda bad, _source, _out: prep.archives(bad)),
    ("folder", lambda bad, _source, _out: prep.fetch(bad, prep.UrlOptions(urls=("https://localhost/x",)))),
]


@pytest.mark.parametrize("bad", [None, 5, b"source", 1.5, {"a": 1}, [[]], [None], "", "a\0b", "\ud800", object])
@pytest.mark.parametrize(("name", "call"), CALLS)
def test_what_is_no_path_is_refused(
    name: str, call: Callable[[Any, Path, Path], object], bad: object, source: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(prep.UsageError, match=name):
        call(bad, source, tmp_path / "out")

    assert sorted(tmp_path.rglob("*")) == before


def test_no_source_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(prep.UsageError, match="source"):
        prep.build([], tmp_path / "out")


def test_sources_may_come_from_a_generator_once(source: Path, tmp_path: Path) -> None:
    sources = source.iterdir()

    assert prep.build(sources, tmp_path / "out", SMALL).images == 12


OTHERS: dict[str, Callable[[Path, Path], object]] = {
    "build with an empty dictionary": lambda source, out: prep.build(source, out, {}),  # type: ignore[arg-type]
    "build with zero": lambda source, out: prep.build(source, out, 0),  # type: ignore[arg-type]
    "build with a recipe alone": lambda source, out: prep.build(source, out, prep.Recipe()),  # type: ignore[arg-type]
    "check with those of an audit": lambda source, _: prep.check(source, prep.AuditOptions()),  # type: ignore[arg-type]
    "index with those of a check": lambda source, _: prep.index(source, prep.CheckOptions()),  # type: ignore[arg-type]
    "audit with a class": lambda source, _: prep.audit(source, prep.AuditOptions),  # type: ignore[arg-type]
    "audit of others": lambda source, _: prep.audit_foreign(source, "all"),  # type: ignore[arg-type]
    "fetch without any": lambda _, out: prep.fetch(out, None),  # type: ignore[arg-type]
    "fetch with those of a build": lambda _, out: prep.fetch(out, SMALL),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", OTHERS)
def test_options_of_another_verb_are_refused(what: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(prep.UsageError, match="options"):
        OTHERS[what](source, tmp_path / "out")

    assert not (tmp_path / "out").exists()


ARGUMENTS: dict[str, Callable[[Path, Path], object]] = {
    "watch": lambda source, out: prep.build(source, out, SMALL, watch=None),  # type: ignore[arg-type]
    "Executor": lambda source, out: prep.build(source, out, engine=4),  # type: ignore[arg-type]
    "engine": lambda source, _: prep.index(source, engine=4),  # type: ignore[arg-type]
    "full": lambda source, _: prep.archives(source, full="no"),  # type: ignore[arg-type]
    "jobs": lambda source, _: prep.archives(source, jobs=-1),
    "catalog": lambda source, _: prep.plan(source),  # type: ignore[arg-type]
}


def test_a_build_without_a_format_and_a_fetch_without_a_torrent_make_no_sense() -> None:
    with pytest.raises(prep.UsageError, match="output"):
        prep.BuildOptions.of(format=())
    with pytest.raises(prep.UsageError, match="torrent"):
        prep.TorrentOptions(torrents=())


@pytest.mark.parametrize("name", ["exclude", "test_list"])
def test_names_that_are_no_text_are_refused(name: str) -> None:
    with pytest.raises(prep.UsageError, match=name):
        made(prep.Selection, **{name: ("\udc80",)})


@pytest.mark.parametrize("cache", ["source/ILSVRC2012_img_val.tar", "source", ".", "feather"])
def test_a_file_that_is_no_catalog_is_not_replaced_by_one(cache: str, source: Path, tmp_path: Path) -> None:
    feather.write_feather(pa.table({"a": [1]}), str(tmp_path / "feather"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    with pytest.raises(prep.UsageError, match="cache"):
        prep.index(source, prep.IndexOptions(cache=tmp_path / cache, jobs=1))

    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_catalog_of_other_sources_is_replaced(source: Path, tmp_path: Path) -> None:
    options = prep.IndexOptions(cache=tmp_path / "catalog", jobs=1)
    prep.index(source / "ILSVRC2012_img_val.tar", options)

    assert len(prep.index(source, options)) == len(prep.index(source, options)) == 12


def test_the_class_table_is_asked_with_text() -> None:
    with pytest.raises(prep.UsageError, match="query"):
        prep.official().search(None)  # type: ignore[arg-type]
    with pytest.raises(prep.UsageError, match="map_text"):
        prep.official().with_names(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_other_argument_is_looked_at_too(name: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(prep.UsageError, match=name):
        ARGUMENTS[name](source, tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["check", "index", "audit", "audit_foreign", "undo", "archives"])
def test_what_cannot_watch_is_refused_before_the_work(verb: str, source: Path) -> None:
    with pytest.raises(prep.UsageError, match="watch"):
        getattr(prep, verb)(source, watch="loudly")

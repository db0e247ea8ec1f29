"""Recipes from files: what a document says of itself counts, and what nobody knows is named with what was meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, OtherBuildError, Selection, UsageError
from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.testing import Miniature
from imagenet_prep.verbs.recipe import recipe_from
from support.build import everything
from support.command import run

RECIPE = BuildOptions.of(test_per_class=1, jobs=1, on_bad="set-aside")
GROWN = BuildOptions.of(format="tfds", test_per_class=1, jobs=1, on_bad="set-aside")

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("no_waiting_for_the_disk")]


@pytest.fixture(scope="module")
def built(two_classes: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "data"
    imagenet_prep.build(two_classes.root, out, RECIPE)
    return out


@pytest.fixture
def document(built: Path) -> bytes:
    return (built / "build.json").read_bytes()


class TestABuildJson:
    def test_it_is_the_recipe_it_was_written_from(self, document: bytes) -> None:
        assert recipe_from(document, "build.json") == RECIPE.recipe

    @pytest.mark.parametrize("version", [0, 2, "1", None])
    @pytest.mark.parametrize("sealed", [True, False])
    def test_of_another_version_it_is_refused(self, document: bytes, version: object, sealed: bool) -> None:
        other = {**unseal(document), "format_version": version}
        with pytest.raises(OtherBuildError):
            recipe_from(seal(other) if sealed else json.dumps(other).encode(), "build.json")

    def test_what_was_changed_since_its_digest_was_taken_is_refused(self, document: bytes) -> None:
        changed = document.replace(b'"seed": 0', b'"seed": 1')
        assert changed != document
        with pytest.raises(UsageError) as caught:
            recipe_from(changed, "build.json")
        assert caught.value.remedy

    def test_without_its_digest_it_may_be_changed(self, document: bytes) -> None:
        changed = json.dumps({**unseal(document), "selection": {"seed": 1}}).encode()
        assert recipe_from(changed, "mine.json").selection == Selection(seed=1)

    def test_the_command_ends_with_the_code_of_each(
        self, two_classes: Miniature, document: bytes, tmp_path: Path
    ) -> None:
        codes = []
        for text in document.replace(b'"format_version": 1', b'"format_version": 2'), document.replace(b"50", b"49"):
            (tmp_path / "build.json").write_bytes(text + b"\n")
            arguments = ["build", two_classes.root, tmp_path / "data", "--recipe", tmp_path / "build.json"]
            codes.append(run(*arguments).returncode)
        assert codes == [5, 2]
        assert not (tmp_path / "data").exists()


class TestADataSetWhoseBuildJsonIsOfAnotherVersion:
    def test_it_is_neither_grown_nor_resumed_nor_repaired(self, two_classes: Miniature, tmp_path: Path) -> None:
        out = tmp_path / "data"
        imagenet_prep.build(two_classes.root, out, RECIPE)
        other = {**unseal((out / "build.json").read_bytes()), "format_version": 2}
        (out / "build.json").write_bytes(seal(other))
        (out / ".imagenet-prep/receipts/tfrecord/train-00000-of-00001").write_bytes(b"damaged")
        before = everything(out)
        attempts: tuple[Callable[[], object], ...] = (
            lambda: imagenet_prep.build(two_classes.root, out, GROWN),
            lambda: imagenet_prep.build(two_classes.root, out, RECIPE),
            lambda: imagenet_prep.resume(out, jobs=1),
            lambda: imagenet_prep.repair(out, jobs=1),
        )
        for attempt in attempts:
            with pytest.raises(OtherBuildError):
                attempt()
        assert everything(out) == before

    def test_one_whose_version_is_a_flipped_bit_is_damaged_and_written_again(
        self, two_classes: Miniature, tmp_path: Path
    ) -> None:
        out = tmp_path / "data"
        imagenet_prep.build(two_classes.root, out, RECIPE)
        sound = (out / "build.json").read_bytes()
        (out / "build.json").write_bytes(sound.replace(b'"format_version": 1', b'"format_version": 3'))
        imagenet_prep.repair(out, jobs=1)
        assert (out / "build.json").read_bytes() == sound


class TestWhatAFileMayHold:
    def test_classes_are_named_as_on_the_command_line(self, tmp_path: Path) -> None:
        (tmp_path / "few").write_text("tench\nn01443537\n7\n")
        listed = recipe_from(b'selection.classes = ["tench", "n01443537", 7]', "recipe.toml").selection.classes
        assert listed == (0, 1, 7)
        assert recipe_from(f'selection.classes = "{tmp_path / "few"}"'.encode(), "recipe.toml").selection.classes == (
            listed
        )
        assert recipe_from(b'selection.classes = "imagenette"', "recipe.toml").selection == (
            Selection(classes="imagenette")  # type: ignore[arg-type]
        )

    def test_a_name_that_is_no_class_is_named(self) -> None:
        with pytest.raises(UsageError) as caught:
            recipe_from(b'selection.classes = ["tench", "tnech"]', "recipe.toml")
        assert [problem.archive for problem in caught.value.problems] == ["classes"]

    @pytest.mark.parametrize(
        "text",
        [
            "selection = 3",
            "selection = [3]",
            "outputs = 3",
            "outputs.tfds = 3",
            "outputs.tfds.shards = 3",
            'outputs.folders.names = "wnids"',
            "selection.class_map = 3",
            "selection.test_list = 3",
            "selection.exclude = [3]",
            "selection.classes = [1.5]",
            'selection.classes = ["tench", 1.5]',
            f'selection.classes = ["tench", 0x{"f" * 9_000}]',
            'selection.seed = "a"',
            "selection.limit = {a = 1}",
        ],
    )
    def test_what_is_of_another_kind_is_said_without_words_of_python(self, text: str) -> None:
        with pytest.raises(UsageError) as caught:
            recipe_from(text.encode(), "recipe.toml")
        words = ("tuple", "dict", "(str)", "(int)", "object", "iterable", "attribute")
        assert [word for word in words if word in str(caught.value)] == []

    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("selection.clases = [1]", "classes"),
            ("selection.classmap = ''", "class_map"),
            ("selection.zzz = 1", "test_per_class"),
            ("outputs.tfds.shard = {train = 1}", "shards"),
            ("outputs.folders.nmes = 'wnid'", "names"),
        ],
    )
    def test_a_word_that_nobody_knows_is_answered_with_what_there_is(self, text: str, meant: str) -> None:
        with pytest.raises(UsageError) as caught:
            recipe_from(text.encode(), "recipe.toml")
        assert meant in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"names": "wnid"}, "folders"),
        ({"shard": {"train": 1}}, "shards"),
        ({"image_per_class": 3}, "images_per_class"),
        ({"tfrecord.shrds": {}}, "tfrecord.shards"),
        ({"job": 3}, "jobs"),
    ],
)
def test_an_option_that_the_formats_have_not_is_answered_with_what_there_is(
    given: dict[str, object], meant: str
) -> None:
    with pytest.raises(UsageError) as caught:
        BuildOptions.of(**given)
    assert meant in caught.value.remedy

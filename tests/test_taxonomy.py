"""The class table: facts of the 1,000 classes, the validation truth, and a user's own names."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter

import pytest

from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.imagenet.archives import CLASS_COUNT, VALIDATION_IMAGES
from imagenet_prep.imagenet.classes import (
    ClassFacts,
    Renaming,
    Taxonomy,
    official,
    to_csv,
    to_map,
    validation_truth,
)

pytestmark = pytest.mark.quick

TENCH = ClassFacts("n01440764", 0, 449, "tench", "tench, Tinca tinca")

CRANE = Renaming("n02012849", "crane", "crane_bird", "also the name of n03126707")
CARDIGAN = Renaming(
    "n02113186",
    "Cardigan",
    "Cardigan_Welsh_corgi",
    "differs by case alone from cardigan, the name of n02963159",
)
MAILLOT = Renaming("n03710721", "maillot", "maillot_tank_suit", "also the name of n03710637")


def name_of(table: Taxonomy, wnid: str) -> str:
    facts = table.find(wnid)
    assert facts is not None
    return facts.name


def original_map() -> str:
    """map_clsloc.txt, with the names as they were published, clashes included."""
    in_devkit_order = sorted(official().classes, key=lambda facts: facts.devkit)
    return "".join(f"{facts.wnid} {facts.devkit} {facts.map_name}\n" for facts in in_devkit_order)


def problems_of(map_text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(SourceError) as caught:
        official().with_names(map_text, "mine.txt")
    return caught.value.problems


class TestTheBuiltInTable:
    def test_it_has_a_thousand_classes_numbered_in_wnid_order(self) -> None:
        classes = official().classes

        assert [facts.index for facts in classes] == list(range(CLASS_COUNT))
        assert [facts.wnid for facts in classes] == sorted({facts.wnid for facts in classes})
        assert sorted(facts.devkit for facts in classes) == list(range(1, CLASS_COUNT + 1))

    def test_the_first_class_is_the_tench(self) -> None:
        assert official().classes[0] == TENCH
        assert official().find("n01440764") == TENCH
        assert official().by_devkit(449) == TENCH

    def test_devkit_integer_1_is_the_kit_fox(self) -> None:
        assert official().by_devkit(1) == ClassFacts("n02119789", 278, 1, "kit_fox", "kit fox, Vulpes macrotis")

    def test_a_devkit_integer_is_for_no_class_its_index_plus_one(self) -> None:
        assert [facts for facts in official().classes if facts.devkit == facts.index + 1] == []

    def test_three_classes_are_renamed_and_the_other_of_each_pair_keeps_its_name(self) -> None:
        assert official().renamings == (CRANE, CARDIGAN, MAILLOT)
        assert name_of(official(), "n03126707") == "crane"
        assert name_of(official(), "n02963159") == "cardigan"
        assert name_of(official(), "n03710637") == "maillot"

    def test_names_with_an_apostrophe_stay(self) -> None:
        assert sorted(facts.name for facts in official().classes if "'" in facts.name) == [
            "carpenter's_kit",
            "jack-o'-lantern",
            "potter's_wheel",
            "yellow_lady's_slipper",
        ]

    def test_the_original_map_is_the_published_one(self) -> None:
        lines = original_map().splitlines()

        assert lines[:3] == [
            "n02119789 1 kit_fox",
            "n02100735 2 English_setter",
            "n02110185 3 Siberian_husky",
        ]
        assert hashlib.sha256(original_map().encode()).hexdigest() == MAP_SHA256

    def test_a_wnid_that_is_none_of_the_thousand_has_no_class(self) -> None:
        assert official().find("n00000000") is None
        with pytest.raises(KeyError):
            official().index_of("n00000000")
        with pytest.raises(KeyError):
            official().by_devkit(0)


class TestTheValidationTruth:
    def test_there_are_fifty_images_of_each_class(self) -> None:
        assert len(validation_truth()) == VALIDATION_IMAGES
        assert Counter(validation_truth()) == dict.fromkeys(range(CLASS_COUNT), 50)

    def test_the_first_images_have_the_devkit_integers_everybody_quotes(self) -> None:
        assert [official().classes[index].devkit for index in validation_truth()[:4]] == [490, 361, 171, 822]

    def test_it_is_by_image_number(self) -> None:
        assert official().classes[validation_truth()[1 - 1]].name == "sea_snake"
        assert official().classes[validation_truth()[50_000 - 1]].wnid == "n02437616"

    def test_its_bytes_are_those_the_script_made(self) -> None:
        truth = "".join(f"{official().classes[index].devkit}\n" for index in validation_truth())

        assert hashlib.sha256(truth.encode()).hexdigest() == GROUND_TRUTH_SHA256


class TestSearch:
    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("n02119789", ["kit_fox"]),
            ("N02119789", ["kit_fox"]),
            ("278", ["kit_fox"]),
            ("KIT FOX", ["kit_fox"]),
            ("kit_fox", ["kit_fox"]),
            ("vulpes macro", ["kit_fox"]),
            ("vulpes_macro", ["kit_fox"]),
            ("crane bird", ["crane_bird"]),
            ("crane", ["crane_bird", "crane"]),
            (" tank_suit ", ["maillot_tank_suit"]),
            ("1000", []),
            ("9" * 5000, []),
            ("n0211978", []),
            ("unicorn", []),
        ],
    )
    def test_a_query_is_a_wnid_a_class_index_or_part_of_a_name(self, query: str, names: list[str]) -> None:
        assert [facts.name for facts in official().search(query)] == names


class TestWhatClassesAreCalled:
    @pytest.mark.parametrize(
        ("name", "indexes"),
        [
            ("n01440764", (0,)),
            ("N01440764_tench", (0,)),
            ("n01440764\ttench, Tinca tinca", (0,)),
            ("n01440764,tench", (0,)),
            ("n01440764: tench", (0,)),
            ("n01440764(tench)", (0,)),
            ("n01440764x", ()),
            ("n00000000 unicorn", ()),
            ("000_tench", (0,)),
            ("001_tench", ()),
            ("000_" * 5_000 + "tench", ()),
            ("tench" + "\u0301\u0327" * 100_000, ()),  # to put accents in order takes the square of their number
            ("Crane  bird", (134,)),
            ("crane", (134, 517)),
            ("tinca_tinca", (0,)),
            ("tench, Tinca tinca", (0,)),
            ("tench, whatever", ()),
            ("missile", (657,)),  # its name; of 744 a lemma alone
            ("unicorn", ()),
        ],
    )
    def test_a_name_means_these(self, name: str, indexes: tuple[int, ...]) -> None:
        assert official().called(name) == indexes


class TestAMapOfTheUser:
    def test_the_original_map_gives_the_built_in_names(self) -> None:
        assert official().with_names(original_map()) == official()

    def test_an_exported_map_reads_back_and_renames_nobody(self) -> None:
        table = official().with_names(to_map(official()))

        assert table == Taxonomy(official().classes, ())

    def test_a_map_may_cover_some_classes_and_the_built_in_names_stand_for_the_others(self) -> None:
        table = official().with_names("n01440764 449 Schleie\n")

        assert name_of(table, "n01440764") == "Schleie"
        assert name_of(table, "n02012849") == "crane_bird"
        assert table.renamings == (CRANE, CARDIGAN, MAILLOT)

    def test_a_name_that_clashes_with_a_built_in_one_is_resolved_and_shown(self) -> None:
        table = official().with_names("n01440764 449 GOLDFISH\n")

        assert name_of(table, "n01440764") == "GOLDFISH"
        assert table.renamings[0] == Renaming(
            "n01443537",
            "goldfish",
            "goldfish_n01443537",
            "differs by case alone from GOLDFISH, the name of n01440764",
        )

    def test_a_map_without_the_clash_keeps_the_name_it_gives(self) -> None:
        table = official().with_names("n02012849 429 crane\nn03126707 545 hoist\n")

        assert name_of(table, "n02012849") == "crane"
        assert table.renamings == (CARDIGAN, MAILLOT)

    def test_spaces_in_a_name_and_windows_line_ends_and_a_byte_order_mark_are_fine(self) -> None:
        table = official().with_names(b"\xef\xbb\xbfn01440764 449 die Schleie \r\n\r\nn02119789 1 Kitfuchs\r\n")

        assert name_of(table, "n01440764") == "die_Schleie"
        assert name_of(table, "n02119789") == "Kitfuchs"

    def test_the_table_it_is_called_on_does_not_matter(self) -> None:
        german = official().with_names("n01440764 449 Schleie\n")

        assert german.with_names("n02119789 1 Kitfuchs\n") == official().with_names("n02119789 1 Kitfuchs\n")

    def test_every_bad_line_is_named_in_one_error(self) -> None:
        bad = (
            "n01440764 0 tench\n"
            "n99999999 1 unicorn\n"
            "n02119789 1\n"
            "n02100735 2 setter\n"
            "n02100735 2 setter\n"
            "n02110185 3 N01440764\n"
            "n02096294 4 a" + "\u0301\u0327" * 100_000 + "\n"
            "\x1b[2J 5 b\n"
        )
        assert [str(problem) for problem in problems_of(bad)] == [
            "mine.txt: line 1: the devkit integer of n01440764 is 449, not 0",
            "mine.txt: line 2: n99999999 is not one of the 1,000 WNIDs",
            "mine.txt: line 3: not three fields: WNID, devkit integer, name",
            "mine.txt: line 5: n02100735 is named twice",
            "mine.txt: line 6: n02110185 would be named by the WNID of another class, n01440764",
            "mine.txt: line 7: the name of n02096294 has 200,001 characters",
            r"mine.txt: line 8: '\x1b[2J is not one of the 1,000 WNIDs'",
        ]

    def test_a_map_of_wnids_gives_wnids(self) -> None:
        assert name_of(official().with_names("n01440764 449 n01440764"), "n01440764") == "n01440764"

    def test_bytes_that_are_no_text_are_named_with_their_offset(self) -> None:
        assert problems_of(b"n01440764 449 t\xffnch\n") == (Problem("mine.txt", "not UTF-8 text", offset=15),)

    def test_an_empty_map_is_refused(self) -> None:
        assert problems_of("\n\n") == (Problem("mine.txt", "names no class"),)


class TestExports:
    def test_the_csv_has_one_line_a_class_in_class_index_order(self) -> None:
        lines = to_csv(official()).splitlines()

        assert lines[:2] == [
            "class_index,wnid,name,devkit_integer,lemmas",
            '0,n01440764,tench,449,"tench, Tinca tinca"',
        ]
        assert len(lines) == CLASS_COUNT + 1
        assert list(csv.reader(io.StringIO(to_csv(official()))))[135] == [
            "134",
            "n02012849",
            "crane_bird",
            "429",
            "crane",
        ]

    def test_the_map_is_in_devkit_order_with_unique_names(self) -> None:
        lines = to_map(official()).splitlines()

        assert lines[0] == "n02119789 1 kit_fox"
        assert lines[428] == "n02012849 429 crane_bird"
        assert lines[999] == "n03255030 1000 dumbbell"


MAP_SHA256 = "1dd44b44b70cbdb05781d3b49851bfa25a82486f47b2957a29eac1f98da4441d"
GROUND_TRUTH_SHA256 = "88d44095bd81cb785618db8e72eeb025fa1f646adf359d9b0efbf625244e0df3"

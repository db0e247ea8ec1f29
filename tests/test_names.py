"""The one rule that makes class names unique and safe as folders."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_prep.imagenet.class_names import LONGEST_NAME, Naming, Renaming, safe_name, same_name_key, unique_names

pytestmark = pytest.mark.quick

# Few letters and much trouble, so that clashes are the rule and not the exception.
TROUBLE = st.text("aAeé\u0301ßs./ _\u200d", max_size=3)
NAMES = st.lists(TROUBLE | st.text(max_size=200) | st.sampled_from(["nul", "NUL.txt", "a_n00000001", "n00000000"]))


def wnid(number: int) -> str:
    return f"n{number:08}"


def named(names: list[str]) -> dict[str, str]:
    return {wnid(number): name for number, name in enumerate(names)}


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@given(NAMES)
def test_no_two_names_are_equal_under_case_and_unicode_form(names: list[str]) -> None:
    result = unique_names(named(names), {wnid(0): "a_proper_name", wnid(1): "a"}).names

    assert len({folded(name) for name in result.values()}) == len(names)


@given(NAMES)
def test_the_rule_applied_to_its_own_result_changes_nothing(names: list[str]) -> None:
    proper = {wnid(0): "a_proper_name"}
    once = unique_names(named(names), proper)

    assert unique_names(once.names, proper) == Naming(once.names, ())


@given(NAMES.flatmap(lambda names: st.tuples(st.just(names), st.permutations(range(len(names))))))
def test_the_order_of_the_names_does_not_matter(drawn: tuple[list[str], list[int]]) -> None:
    names, order = drawn
    shuffled = {wnid(number): names[number] for number in order}

    assert unique_names(shuffled, {}) == unique_names(named(names), {})
    assert list(unique_names(shuffled, {}).names) == sorted(shuffled)


@given(NAMES)
def test_a_name_is_renamed_exactly_when_it_is_listed_as_renamed(names: list[str]) -> None:
    asked = named(names)
    result = unique_names(asked, {})

    assert {r.wnid: (r.before, r.after) for r in result.renamings} == {
        wnid: (asked[wnid], name) for wnid, name in result.names.items() if name != asked[wnid]
    }


@given(NAMES)
def test_every_result_fits_into_a_folder_name(names: list[str]) -> None:
    for name in unique_names(named(names), {}).names.values():
        assert 0 < len(name.encode()) <= LONGEST_NAME
        assert not set(name) & set('/\\:*?"<>|\0\n\t ')
        assert name.strip(".") == name
        assert unicodedata.is_normalized("NFC", name)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("jack-o'-lantern", "jack-o'-lantern"),
        ("kit fox", "kit_fox"),
        ("either/or", "either_or"),
        ("C:\\fox", "C__fox"),
        ("..", "n02119789"),
        (".hidden", "hidden"),
        ("fox.", "fox"),
        ("", "n02119789"),
        ("nul", "nul_"),
        ("Con.fox", "Con_.fox"),
        ("COM¹", "COM¹_"),
        ("console", "console"),
        ("fo\u200dx", "fo_x"),
        ("fox\x00", "fox_"),
        ("fox\ud800", "fox_"),
        ("renard dore\u0301", "renard_dor\u00e9"),
        ("x" * 141, "x" * 140),
        ("x" * 139 + "é", "x" * 139),
        ("x" * 139 + ".x", "x" * 139),
    ],
)
def test_a_name_is_repaired_into_a_folder_name(name: str, safe: str) -> None:
    assert safe_name(name, "n02119789") == safe


def test_the_lowest_wnid_keeps_a_name_two_classes_were_given() -> None:
    assert unique_names({"n2": "fox", "n1": "fox"}, {}).renamings == (
        Renaming("n2", "fox", "fox_n2", "also the name of n1"),
    )


def test_names_that_differ_by_case_alone_clash() -> None:
    assert unique_names({"n1": "Fox", "n2": "fox"}, {}).renamings == (
        Renaming("n2", "fox", "fox_n2", "differs by case alone from Fox, the name of n1"),
    )


def test_names_that_differ_by_unicode_form_alone_clash() -> None:
    assert unique_names({"n1": "dor\u00e9", "n2": "dore\u0301"}, {}).renamings == (
        Renaming("n2", "dore\u0301", "dor\u00e9_n2", "differs by Unicode form alone from the name of n1"),
    )


def test_names_that_are_equal_once_repaired_clash() -> None:
    assert unique_names({"n1": "a/b", "n2": "a:b"}, {}).renamings == (
        Renaming("n1", "a/b", "a_b", "not safe as a folder name on every file system"),
        Renaming("n2", "a:b", "a_b_n2", "made safe, it is also the name of n1"),
    )


def test_a_name_in_decomposed_unicode_form_is_composed_and_says_so() -> None:
    assert unique_names({"n1": "dore\u0301"}, {}).renamings == (
        Renaming("n1", "dore\u0301", "dor\u00e9", "not in composed Unicode form (NFC)"),
    )


def test_a_class_with_a_proper_name_gives_way_whatever_its_wnid() -> None:
    names = unique_names({"n1": "crane", "n2": "crane", "n3": "crane"}, {"n1": "crane_bird"}).names

    assert names == {"n1": "crane_bird", "n2": "crane", "n3": "crane_n3"}


def test_a_proper_name_is_for_a_clash_only() -> None:
    assert unique_names({"n1": "crane"}, {"n1": "crane_bird"}) == Naming({"n1": "crane"}, ())


def test_a_proper_name_somebody_has_already_is_not_taken() -> None:
    names = unique_names({"n1": "crane", "n2": "crane", "n3": "Crane_Bird"}, {"n1": "crane_bird"}).names

    assert names == {"n1": "crane_n1", "n2": "crane", "n3": "Crane_Bird"}


def test_a_name_made_with_the_wnid_avoids_the_names_given() -> None:
    names = unique_names({"n1": "fox", "n2": "fox", "n3": "FOX_n2", "n4": "fox_n2_2"}, {}).names

    assert names == {"n1": "fox", "n2": "fox_n2_3", "n3": "FOX_n2", "n4": "fox_n2_2"}


def test_one_proper_name_is_not_given_twice() -> None:
    names = unique_names(dict.fromkeys(["n1", "n2", "n3"], "crane"), {"n1": "bird", "n2": "Bird"}).names

    assert names == {"n1": "bird", "n2": "crane_n2", "n3": "crane"}


@pytest.mark.parametrize(
    ("one", "other"), [("Fox", "fOX"), ("STRASSE", "straße"), ("dore\u0301", "DOR\u00c9"), ("ς", "Σ")]
)
def test_names_some_file_system_takes_for_one_have_the_same_key(one: str, other: str) -> None:
    assert same_name_key(one) == same_name_key(other)


def test_a_long_name_is_cut_before_its_wnid() -> None:
    names = unique_names({"n1": "x" * 140, "n2": "x" * 140}, {}).names

    assert names == {"n1": "x" * 140, "n2": "x" * 137 + "_n2"}

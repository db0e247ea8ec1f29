"""What users write down: which classes, which images. Every form that goes round is read; nothing is guessed."""

import pytest

from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.lists import chosen_classes, listed_train_names, preset_classes
from imagenet_prep.imagenet.presets import PRESETS
from support.sentences import Sentence, places

pytestmark = pytest.mark.quick

TENCH = 0


class TestClasses:
    @pytest.mark.parametrize(
        "line",
        [
            "n02012849",
            "N02012849",
            "n02012849 crane",
            "n02012849\tcrane, whooping crane",
            "n02012849,crane",
            "n02012849: anything at all",
            "134_crane",
            "  n02012849  # which is a bird",
            "134",
            "0134",
            "crane_bird",
            "Crane bird",
            "CRANE  BIRD",
        ],
    )
    def test_a_line_is_a_wnid_a_class_index_or_a_name(self, line: str) -> None:
        assert chosen_classes(line, "list") == (134,)

    @pytest.mark.parametrize("line", ["tench", "Tinca tinca", "tinca_TINCA", "tench, Tinca tinca"])
    def test_a_name_may_be_any_lemma_or_all_of_them(self, line: str) -> None:
        assert chosen_classes(line, "list") == (TENCH,)

    def test_a_number_is_a_class_index_and_no_devkit_integer(self) -> None:
        assert official().classes[0].devkit == 449
        assert chosen_classes("0", "list") == (TENCH,)

    def test_what_is_the_name_of_one_class_and_a_lemma_of_another_means_the_one(self) -> None:
        assert official().classes[744].lemmas == "projectile, missile"
        assert official().classes[657].lemmas == "missile"
        assert chosen_classes("missile", "list") == (657,)

    def test_the_answer_is_sorted_and_has_each_class_once(self) -> None:
        assert chosen_classes("n02012849\n7\ntench\ncock\n0\n", "list") == (0, 7, 134)

    def test_comments_and_blank_lines_say_nothing(self) -> None:
        assert chosen_classes("# my classes\n\n  \ntench # a fish\n#goldfish\n", "list") == (TENCH,)

    def test_windows_lines_and_a_byte_order_mark_are_read(self) -> None:
        assert chosen_classes(b"\xef\xbb\xbftench\r\ncock\r\n", "list") == (0, 7)

    def test_names_of_a_map_of_ones_own_are_known(self) -> None:
        table = official().with_names("n01440764 449 Schleie\n", "map")
        assert chosen_classes("schleie", "list", table) == (TENCH,)
        assert chosen_classes("tench", "list", table) == (TENCH,)

    def test_the_kaggle_mapping_is_a_list_of_all_classes(self) -> None:
        text = "".join(f"{facts.wnid} {facts.lemmas}\n" for facts in official().classes)
        assert chosen_classes(text, "LOC_synset_mapping.txt") == tuple(range(1000))

    def test_every_unique_name_that_is_no_name_of_another_means_its_class(self) -> None:
        understood = [
            facts for facts in official().classes if facts.wnid not in ("n03126707", "n02963159", "n03710637")
        ]
        assert len(understood) == 997
        assert all(chosen_classes(facts.name, "list") == (facts.index,) for facts in understood[::10])

    @pytest.mark.parametrize(
        "line",
        ["crane", "horn", "unicorn", "n00000001", "n00000001 unicorn", "n01440764x", "1000", "-1", "n0144076"],
    )
    def test_a_line_that_means_nothing_or_too_much_is_an_error(self, line: str, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            chosen_classes(f"tench\n{line}\n", "mine.txt")
        assert [(problem.archive, problem.member) for problem in caught.value.problems] == [("mine.txt", "line 2")]
        sentence(caught.value)

    def test_more_digits_than_python_reads_are_an_error_too(self) -> None:
        with pytest.raises(UsageError) as caught:
            chosen_classes("9" * 5000, "mine.txt")
        assert [(problem.archive, problem.member) for problem in caught.value.problems] == [("mine.txt", "line 1")]

    def test_all_bad_lines_are_reported(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            chosen_classes("unicorn\ntench\n\ncrane\n1000\n", "mine.txt")
        assert [problem.member for problem in caught.value.problems] == ["line 1", "line 4", "line 5"]
        sentence(caught.value)

    @pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
    def test_an_empty_list_is_an_error_because_no_choice_means_everything(self, text: str, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            chosen_classes(text, "mine.txt")
        sentence(caught.value, alike=True)

    def test_what_is_not_text_is_an_error(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            chosen_classes(b"tench\n\xff\xfe", "mine.txt")
        sentence(caught.value)


class TestImages:
    @pytest.mark.parametrize(
        "line",
        [
            "n01440764_18.JPEG",
            "n01440764_18",
            "n01440764_18.jpg",
            "n01440764_18_n01440764.JPEG",
            "train/n01440764/n01440764_18.JPEG",
            "/data/image net/train/n01440764/n01440764_18.JPEG",
            r"C:\train\n01440764\n01440764_18.JPEG",
            "n01440764/n01440764_18.JPEG 0",
            "n01440764_18\t1",
            "n01440764_18,n01440764 13 28 375 211",
            "n01440764_18.JPEG # blurred",
        ],
    )
    def test_a_line_is_a_file_name_whatever_stands_around_it(self, line: str) -> None:
        assert listed_train_names(line, "list") == ("n01440764_18.JPEG",)

    def test_the_order_is_that_of_the_list_and_each_name_is_there_once(self) -> None:
        text = "# of train\nn01443537_2.JPEG\n\nn01440764_18.JPEG\nn01443537_2.JPEG\n"
        assert listed_train_names(text, "list") == ("n01443537_2.JPEG", "n01440764_18.JPEG")

    @pytest.mark.parametrize(
        "line",
        [
            "ILSVRC2012_val_00000001.JPEG",
            "n01440764",
            "xn01440764_18.JPEG",
            "n01440764_18.JPEG.part",
            "n01440764_18.png",
            "n00000001_18.JPEG",
        ],
    )
    def test_any_other_line_is_an_error_with_its_number(self, line: str, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            listed_train_names(f"n01440764_18.JPEG\n\n{line}\n", "test.txt")
        assert places(caught.value.problems) == ["test.txt: line 3"]
        sentence(caught.value)

    def test_an_empty_list_is_an_error_because_no_list_means_another_hold_out(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            listed_train_names("# none\n", "test.txt")
        sentence(caught.value)


class TestPresets:
    @pytest.mark.parametrize(("name", "count"), [("imagenette", 10), ("imagewoof", 10), ("imagenet100", 100)])
    def test_they_are_classes_of_the_thousand_in_ascending_order(self, name: str, count: int) -> None:
        wnids = PRESETS[name].wnids
        assert len(wnids) == len(preset_classes(name)) == count
        assert list(wnids) == sorted(set(wnids))
        assert all(official().find(wnid) for wnid in wnids)
        assert PRESETS[name].source.startswith("https://github.com/")

    @pytest.mark.parametrize("name", ["imagenette", "imagewoof"])
    def test_the_names_their_authors_give_mean_the_same_classes(self, name: str) -> None:
        assert chosen_classes(PUBLISHED[name].replace(", ", "\n"), "README.md") == preset_classes(name)

    def test_imagenet100_is_that_of_contrastive_multiview_coding(self) -> None:
        # The first, the last and one in the middle of its imagenet100.txt, which is in no order; its sum of numbers.
        assert {"n02869837", "n02483362", "n02090622"} < set(PRESETS["imagenet100"].wnids)
        assert sum(int(wnid[1:]) for wnid in PRESETS["imagenet100"].wnids) == SUM_OF_CMC


PUBLISHED = {  # as the README of fastai/imagenette names them
    "imagenette": "tench, English springer, cassette player, chain saw, church, French horn, garbage truck, gas pump, "
    "golf ball, parachute",
    "imagewoof": "Australian terrier, Border terrier, Samoyed, Beagle, Shih-Tzu, English foxhound, "
    "Rhodesian ridgeback, Dingo, Golden retriever, Old English sheepdog",
}
SUM_OF_CMC = 338_296_959

"""What a plan does that a user might not expect, said in a sentence: what is held out of train, what is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from imagenet_prep.imagenet.archives import CLASS_COUNT, TEST, VALIDATION
from imagenet_prep.options import Selection
from imagenet_prep.planning.condemned import condemned_rows
from imagenet_prep.planning.plan import OutputPlan, Plan, reads

_NAMED = 5  # classes of a choice: a number in a list may have been meant as another number


def remarks(of: Plan, written: Sequence[OutputPlan] | None = None, known: Collection[str] = ()) -> list[str]:
    """Give what there is to say of a plan, a sentence or two each; ``written`` are the outputs of which something is
    still to be written, None for all. Of a data set that was started with the outputs ``known``, only what is new is
    said.
    """
    new = (each.output for each in of.outputs if each.output.name not in known)
    of_selection = () if known else (hold_out_sentence(of), *_excluded(of), *_condemned(of))
    return [
        *of_selection,
        *(remark for output in new for remark in output.remarks(of.contents)),
        *_reads(of.outputs if written is None else written),
    ]


def _excluded(of: Plan) -> Iterator[str]:
    if named := len(of.recipe.selection.exclude):
        strange = named - len(of.excluded)
        others = f"; {strange:,} of the names are not in the source" if strange else ""
        yield f"Excluded by name: {len(of.excluded):,}{others}."


def _condemned(of: Plan) -> Iterator[str]:
    """What is known before an image is read should not end a build after hours."""
    rows = [row for members in of.members.values() for row in condemned_rows(of.catalog, members)]
    if rows:
        first = of.catalog.table["name"][int(min(rows))].as_py()
        yield f"Too small to be images: {len(rows):,}, such as {first}; `imagenet-prep check` names each."


def _reads(written: Sequence[OutputPlan]) -> Iterator[str]:
    if (times := reads(written)) > 1:
        yield (
            f"The source is read {times} times: these outputs want the images in another order, or in numbers of "
            "shards that do not nest."
        )


def hold_out_sentence(of: Plan) -> str:
    """Say in one line what is held out of train, how to change it, and what a subset keeps."""
    return f"{_held_out(of)} {_subset(of.recipe.selection)}".rstrip()


def _held_out(of: Plan) -> str:
    options, kept = of.recipe.selection, of.images_of(TEST)
    if set(options.splits) == {VALIDATION} or not options.holds_out:
        return (
            "Nothing is held out of train for a split test "
            "(--test-per-class N holds out N labelled images of each class)."
        )
    not_written = "; this split is not written" if options.splits and TEST not in options.splits else ""
    if options.test_list:
        count = len(options.test_list)
        of_which = not_written or (f"; the subset has {kept:,} of them" if kept < count else "")
        return f"The {count:,} images of the test list are held out of train as the split test{of_which}."
    in_all = "" if options.is_subset or not_written else f", {kept:,} in all,"
    return (
        f"{options.test_per_class} labelled images of each class{in_all} are held out of train as the "
        f"split test (--test-per-class N; 0 keeps the standard train set){not_written}."
    )


def _subset(options: Selection) -> str:
    if not options.is_subset:
        return ""
    share, number = f"{100 * options.limit:g}% of each split", f"at most {options.limit:,} images of a split"
    names = [options.taxonomy.classes[index].name for index in options.classes]
    named = f"{', '.join(names[:_NAMED])}{' …' if names[_NAMED:] else ''}"
    kept = [
        f"{len(names):,} of the {CLASS_COUNT:,} classes ({named})" if names else "",
        f"at most {options.images_per_class:,} images of each class of a split" if options.images_per_class else "",
        (share if options.limit < 1 else number) if options.limit else "",
    ]
    return f"This subset keeps {', '.join(filter(None, kept))}; class indexes stay those of all {CLASS_COUNT:,}."

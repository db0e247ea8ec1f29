"""Names that the user gives to classes, and whether they are names of other classes.

Readers of class folders, and people, take a name for the class. A list of names in another order beside the WNIDs gives
nearly every class the name of another, so past a tenth of the names that are new it is refused unless it is trusted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.classes import ClassFacts, Taxonomy, official

_FEW = 10  # one new name in so many may be that of another class
_REMEDY = "Put the map right: each line has a WNID and the name of that class. --trust-labels follows it all the same."


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Of ``changed`` names that are not the built-in ones, ``of_others`` are names of other classes; ``example`` says
    which is the first.
    """

    changed: int
    of_others: int
    example: str

    @property
    def difference(self) -> str:
        """Say how many classes have the name of another."""
        return f"gives {self.of_others:,} of {self.changed:,} classes the name of another: {self.example}"


def class_names(taxonomy: Taxonomy) -> ClassNames | None:
    """Compare the names of a class table with the built-in ones; None if they are these."""
    built_in = official().classes
    changed = sum(facts.name != of.name for facts, of in zip(taxonomy.classes, built_in, strict=True))
    if not changed:
        return None
    of_others = list(_of_others(taxonomy))
    example = ""
    if of_others:
        facts, meant = of_others[0]
        example = f"{facts.wnid} is called {printable(facts.name)}, which is {meant.wnid}"
    return ClassNames(changed, len(of_others), example)


def _of_others(taxonomy: Taxonomy) -> Iterator[tuple[ClassFacts, ClassFacts]]:
    for facts in taxonomy.classes:
        meant = official().called(facts.name)
        if meant and facts.index not in meant:
            yield facts, official().classes[meant[0]]


def refuse_names(names: ClassNames | None) -> None:
    """Raise SourceError if many classes have the names of others."""
    if names and names.of_others * _FEW > names.changed:
        raise SourceError("The class names cannot be right:", (Problem("the class map", names.difference),), _REMEDY)

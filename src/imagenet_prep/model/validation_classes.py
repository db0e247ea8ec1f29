"""How far the classes of the validation images agree with the published truth: for plans, results and audits alike."""

from __future__ import annotations

from dataclasses import dataclass

FEW = 10  # one image in so many may differ before a list is refused
NO_CONVENTION = "none of the known conventions"


@dataclass(frozen=True, slots=True)
class ValidationClasses:
    """``source`` is the name of the list that gave ``images`` their classes, of which ``different`` are not the
    published ones; ``seems`` says which numbers are in it, if those are many.
    """

    source: str
    images: int
    different: int = 0
    seems: str = ""

    @property
    def doubtful(self) -> bool:
        """Whether so many differ that something must be wrong."""
        return self.different * FEW > self.images

    @property
    def difference(self) -> str:
        """Say how many differ, and which numbers that looks like."""
        known = self.seems != NO_CONVENTION
        seems = f"; the numbers in it seem to be: {self.seems}" if known else f"; its numbers follow {NO_CONVENTION}"
        differ = f"gives {self.different:,} of {self.images:,} validation images another class than the published truth"
        return f"{differ}{seems if self.seems else ''}"

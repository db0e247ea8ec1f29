"""One data set that others made, as it was found, before anything in it was read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from imagenet_prep.errors import Problem
from imagenet_prep.verbs.audit.others.look import Look, ShardLook


@dataclass(slots=True)
class FoundSet:
    """``looks`` are its parts. ``promised`` are the records of every shard by split, as a document beside them says.
    ``labels_from_one``: whether readers of this layout expect labels that count from 1.
    """

    layout: str
    path: Path
    looks: list[Look]
    labels_from_one: bool = False
    promised: dict[str, list[int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)

    @property
    def records(self) -> bool:
        """Whether it consists of records, which have labels, and not of files."""
        return any(isinstance(look, ShardLook) for look in self.looks)

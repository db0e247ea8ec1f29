r"""The one rule by which classes get names that are folders on every file system.

1. A name is *repaired* where a file system would refuse or alter it: it is written in composed Unicode form
   (NFC); white space, control and invisible characters, and ``/ \ : * ? " < > |`` become ``_``; dots at
   either end go; a Windows device name (``nul``, ``con.txt``) gets ``_`` after its stem; what is longer
   than 140 bytes of UTF-8 is cut. If nothing is left, the class is called by its WNID.
2. Names *clash* if they are equal without regard to case and Unicode form. Of each clashing group one class
   keeps its name: the lowest WNID, but a class with a proper name of its own to go to gives way to one
   without.
3. Every other class of the group takes that proper name if nobody has it, otherwise its name + ``_`` + its
   WNID (and ``_2``, ``_3``… in case somebody was given just that).

A name that is safe and clashes with nobody stays as it is, so the rule applied to its own result changes
nothing. The outcome depends on the names and WNIDs alone, never on their order. Names are folders of
finished builds: changing the rule needs a new major version.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count

LONGEST_NAME = 140  # bytes of UTF-8: most file systems allow 255, encrypted ones (eCryptfs) 143

_REFUSED = frozenset('/\\:*?"<>|')
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"})  # controls, zero-width marks, lone surrogates, spaces
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [device + digit for device in ("com", "lpt") for digit in "0123456789¹²³"]
)


@dataclass(frozen=True, slots=True)
class Renaming:
    """One class that could not keep the name it was given, and why."""

    wnid: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Naming:
    """What the rule made of the names given: ``names`` by WNID, and every change, both in WNID order."""

    names: dict[str, str]
    renamings: tuple[Renaming, ...]


def same_name_key(name: str) -> str:
    """Return what two names have in common if some file system takes them for one."""
    return _composed(_composed(name).casefold())


def safe_name(name: str, wnid: str) -> str:
    """Return ``name`` as a folder name that every file system keeps; ``wnid`` if nothing is left of it."""
    kept = "".join("_" if _is_unsafe(character) else character for character in _composed(name)).strip(".")
    stem, dot, suffix = kept.partition(".")
    if stem.casefold() in _DEVICES:
        kept = f"{stem}_{dot}{suffix}"
    return _cut(kept, LONGEST_NAME).rstrip(".") or wnid


def unique_names(given: Mapping[str, str], proper: Mapping[str, str]) -> Naming:
    """Apply the rule to the names ``given`` by WNID; ``proper`` has names to go to in a clash."""
    safe = {wnid: safe_name(given[wnid], wnid) for wnid in sorted(given)}
    groups: dict[str, list[str]] = {}
    for wnid, name in safe.items():
        groups.setdefault(same_name_key(name), []).append(wnid)
    keeper = {wnid: _keeper(group, proper) for group in groups.values() for wnid in group}

    taken = set(groups)  # each of these names stays with one class
    names = dict(safe)
    for wnid, name in safe.items():
        if keeper[wnid] != wnid:
            names[wnid] = _free_name(name, wnid, proper.get(wnid), taken)
            taken.add(same_name_key(names[wnid]))
    changed = (wnid for wnid in names if names[wnid] != given[wnid])
    return Naming(
        names,
        tuple(Renaming(w, given[w], names[w], _reason(w, keeper[w], given, safe)) for w in changed),
    )


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _cut(name: str, size: int) -> str:
    return name.encode()[:size].decode(errors="ignore")  # never in the middle of a character


def _is_unsafe(character: str) -> bool:
    return character in _REFUSED or unicodedata.category(character) in _INVISIBLE


def _keeper(group: Iterable[str], proper: Mapping[str, str]) -> str:
    return min(group, key=lambda wnid: (wnid in proper, wnid))


def _free_name(name: str, wnid: str, proper: str | None, taken: set[str]) -> str:
    if proper is not None and same_name_key(proper) not in taken:
        return proper
    endings = chain([f"_{wnid}"], (f"_{wnid}_{number}" for number in count(2)))
    candidates = (_cut(name, LONGEST_NAME - len(ending)) + ending for ending in endings)
    return next(candidate for candidate in candidates if same_name_key(candidate) not in taken)


def _reason(wnid: str, keeper: str, given: Mapping[str, str], safe: Mapping[str, str]) -> str:
    """Say what was wrong with the name of ``wnid``, whose group's name stays with ``keeper``."""
    if keeper == wnid:
        if safe[wnid] == _composed(given[wnid]):
            return "not in composed Unicode form (NFC)"
        return "not safe as a folder name on every file system"
    if given[wnid] == given[keeper]:
        return f"also the name of {keeper}"
    if _composed(given[wnid]) == _composed(given[keeper]):
        return f"differs by Unicode form alone from the name of {keeper}"
    if safe[wnid] == safe[keeper]:
        return f"made safe, it is also the name of {keeper}"
    return f"differs by case alone from {safe[keeper]}, the name of {keeper}"

"""Archives that lie there and are not used: each is named with what is wrong and the command that puts it right.

An archive may be all of train, in a form that cannot be read where it lies. A user who reads of validation alone
would believe that train is not there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from pathlib import Path

from imagenet_prep.errors import counted, printable
from imagenet_prep.sources.base import Seen
from imagenet_prep.sources.contents import is_of_another_task, may_be_archive, whole_of
from imagenet_prep.sources.disguise import disguise_at, unpacker

_NAMED = 5
_LETTERS = re.compile(r"(?<![a-z])[a-d][a-z]$|(?<=part)[a-z]{2}$")  # that count parts: never ``gz``
_OWN_SUFFIX = re.compile(r"\.(?:gz|tgz|xz|txz|bz2|tbz2?|zst|tzst)", re.IGNORECASE)


def not_used(found: Seen, used: Collection[Path]) -> str:
    """Name the files that are called like archives, or are of a kind that is read, and are not among those ``used``; ""
    for none.
    """
    there = (path for path in found.files if may_be_archive(path.name) or path in found.unused)
    unused = [path for path in there if path not in used]
    parts: dict[Path, list[Path]] = {}
    for path in unused:
        if whole := whole_of(path):
            parts.setdefault(whole, []).append(path)
    said = [f"{printable(str(of[0]))} {_how_to_join(whole, of)}" for whole, of in parts.items()]
    said += [f"{printable(str(p))} {why_unused(p, found)}" for p in unused if not whole_of(p)]
    more = [f"and {len(said) - _NAMED:,} more"] if len(said) > _NAMED else []
    return f"Not used: {'; '.join([*said[:_NAMED], *more])}." if said else ""


def why_unused(path: Path, found: Seen) -> str:
    """Say why a file is not used."""
    contents = found.contents(path)
    if path in found.unused:
        return found.unused[path]
    if whole := whole_of(path):
        return _how_to_join(whole, [path])
    if is_of_another_task(path.name):
        return "has images that train has too"
    if contents.packed and not contents.damage:
        return f"is {contents.packed}-compressed: {_how_to_unpack(path, contents.packed)}"
    if contents.shard:
        return "is a WebDataset shard that cannot be read: its first key is not the name of an image"
    if contents.damage:
        return f"cannot be read: {contents.damage}"
    if contents.first:
        return f"begins with {printable(contents.first)}, which is not of ILSVRC2012"
    return disguise_at(path, plain_tar=False) or "has nothing in it that is known"


def _how_to_unpack(path: Path, packed: str) -> str:
    name, program = shlex.quote(str(path)), unpacker(packed)
    if _OWN_SUFFIX.fullmatch(path.suffix):
        return f"`{program} -k {name}` unpacks it"
    return f"`{program} < {name} > {shlex.quote(f'{path}.unpacked.tar')}` unpacks it"


def _how_to_join(whole: Path, parts: list[Path]) -> str:
    """Parts of one length sort as they were cut; shorter numbers come first."""
    ends = [part.name[len(whole.name) + 1 :] for part in parts]
    forms = dict.fromkeys(re.sub(r"\d", "[0-9]", _LETTERS.sub("[a-d][a-z]", end)) for end in sorted(ends, key=len))
    patterns = " ".join(f"{shlex.quote(str(whole))}.{form}" for form in forms)
    return f"is one of {counted(len(parts), 'part')}: `cat {patterns} > {shlex.quote(str(whole))}` joins them"

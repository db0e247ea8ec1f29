"""What a caller gives is what the annotation says, or a UsageError that names it: one rule for every field of the
options and every argument of the verbs, so that a wrong value never gets as far as a traceback, or a build of something
else.

What means the same is taken: a list or a generator for a tuple, NumPy's numbers, a text for a path.
"""

from __future__ import annotations

import difflib
import math
import operator
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from imagenet_prep.errors import UsageError, printable
from imagenet_prep.platform import at_home, local_path

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Between(NamedTuple):
    """The bounds of a number, both among the good ones, and the same in words."""

    low: int
    high: int
    words: str


_TO_READ = "a file that is read"
FileToRead = Annotated[Path, _TO_READ]  # a URL is a file that is not there: what reads it says what it wants
Jobs = Annotated[int, Between(0, 4_096, "a whole number of processes, from 0 to 4,096")]  # every machine has fewer
Count = Annotated[int, Between(0, 10**15, "a whole number from 0 up")]
Seed = Annotated[int, Between(-(2**63), 2**64 - 1, "a whole number of at most 64 bits")]
Seconds = Annotated[float, Between(0, 86_400, "a number of seconds, from 0 to a day")]
Share = Annotated[float, Between(0, 1, "a share from 0 to 1, such as 0.1")]

Kind = TypeVar("Kind")
_SHOWN = 40  # characters of a key
_WORDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    NoneType: "None",
    Mapping: "a table of names",
}


class _OtherError(ValueError):
    """A value is not of the type that was asked for."""


@overload
def given(name: str, value: object, kind: type[Kind], *, shown: bool = True) -> Kind: ...
@overload
def given(name: str, value: object, kind: object, *, shown: bool = True) -> Any: ...
def given(name: str, value: object, kind: object, *, shown: bool = True) -> Any:
    """Give ``value`` as the type ``kind`` says; raises UsageError, with the ``name`` of what was given, if it is not of
    that type. The message has the value only if it may be ``shown``.
    """
    if get_origin(kind) is Mapping and isinstance(value, Mapping):  # whose values have names of their own
        of = get_args(kind)
        named = [(given(f"a key of {name}", key, of[0]), each) for key, each in value.items()]
        return {key: given(f"{name}.{str(key)[:_SHOWN]}", each, of[1]) for key, each in named}
    try:
        return _taken(value, kind)
    except _OtherError:
        raise UsageError(f"{name} is {_described(kind)}, not {_named(value, shown=shown)}.") from None


def options_given(value: object, kind: type[Kind]) -> Kind:
    """Give the options of a verb, or its defaults. Raises UsageError for the options of another verb."""
    return kind() if value is None else given("options", value, kind)


def check_fields(options: DataclassInstance, *, shown: bool = True, of: str = "") -> None:
    """Put every field of a frozen dataclass into the form that its annotation says. Raises UsageError; without
    ``shown``, no value is in it, because it may be a credential. A field is called by its name, after ``of`` and a dot.
    """
    for field in fields(options):
        value = given(f"{of}{field.name}", getattr(options, field.name), _kinds(type(options))[field.name], shown=shown)
        object.__setattr__(options, field.name, value)


def nearest(name: str, known: Iterable[str]) -> str:
    """Ask for the name that was probably meant, or list all there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    return f"Did you mean {close[0]}?" if close else f"There are {', '.join(names)}."


def choices_of(kind: type, name: str) -> tuple[str, ...]:
    """Give the values that a field may have, if they are a few; else none."""
    of = _kinds(kind)[name]
    return get_args(of) if get_origin(of) is Literal else ()


def _named(value: object, *, shown: bool) -> str:
    try:
        return printable(reprlib.repr(value)) if shown else "what was given"
    except ValueError:  # a number of thousands of digits, which Python does not print
        return "a number of thousands of digits"


@cache
def _kinds(of: type) -> dict[str, Any]:
    return get_type_hints(of, include_extras=True)


def _taken(value: Any, kind: Any) -> Any:
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # a number of NumPy's
        value = value.item()
    origin, of = get_origin(kind), get_args(kind)
    if origin is Annotated and of[1] == _TO_READ:
        return _path(value, Path, meant=at_home)
    if origin is Annotated:
        return _within(_taken(value, of[0]), of[1])
    if origin in (UnionType, Union):
        return _one_of(value, of)
    if origin is Literal:
        return _asserted(value, good=isinstance(value, str) and value in of)
    if origin is tuple:
        return _several(value, of[0])
    if origin is Mapping:
        raise _OtherError
    take: Callable[[Any, Any], Any] = _PLAIN.get(origin or kind, _instance)
    return take(value, kind)


def _asserted(value: Any, *, good: bool) -> Any:
    if not good:
        raise _OtherError
    return value


def _within(value: Any, bounds: Between) -> Any:
    return _asserted(value, good=bounds.low <= value <= bounds.high)


def _one_of(value: Any, kinds: tuple[Any, ...]) -> Any:
    for kind in kinds[:-1]:
        try:
            return _taken(value, kind)
        except _OtherError:
            pass
    return _taken(value, kinds[-1])


def _several(value: Any, kind: Any) -> tuple[Any, ...]:
    """A text would be a tuple of its letters, and a mapping one of its keys."""
    _asserted(value, good=not isinstance(value, str | bytes | bytearray | Mapping) and hasattr(value, "__iter__"))
    items = tuple(value)
    if kind is str and set(map(type, items)) <= {str}:  # of which there may be a million
        return items
    return tuple(_taken(item, kind) for item in items)


def _whole(value: Any, _kind: type) -> int:
    try:
        return operator.index(_asserted(value, good=not isinstance(value, bool)))
    except TypeError:
        raise _OtherError from None


def _number(value: Any, _kind: type) -> float:
    number: float = _asserted(value, good=isinstance(value, int | float) and not isinstance(value, bool))
    return _asserted(number, good=isinstance(number, int) or math.isfinite(number))  # type: ignore[no-any-return]


def _path(value: Any, _kind: type, meant: Callable[[Any], Path] = local_path) -> Path:
    _asserted(value, good=value != "" and (isinstance(value, str) or hasattr(value, "__fspath__")))
    try:
        path = meant(value)
        str(path).encode("utf-8", "surrogateescape")
    except (TypeError, UnicodeEncodeError):  # one of bytes; what no file system has
        raise _OtherError from None
    return _asserted(path, good="\0" not in str(path))  # type: ignore[no-any-return]


def _instance(value: Any, kind: type) -> Any:
    return _asserted(value, good=isinstance(value, kind))


def _function(value: Any, _kind: object) -> Any:
    good: bool = callable(value)
    return _asserted(value, good=good)


_PLAIN: dict[Any, Callable[[Any, Any], Any]] = {int: _whole, float: _number, Path: _path, Callable: _function}


def _described(kind: Any) -> str:
    origin, of = get_origin(kind), get_args(kind)
    if origin is Annotated and of[1] == _TO_READ:
        return _WORDS[Path]
    if origin is Annotated:
        return str(of[1].words)
    if origin in (UnionType, Union):
        return " or ".join(map(_described, of))
    if origin is Literal:
        return f"one of {', '.join(of)}"
    if origin is tuple:
        return f"a list, of which each is {_described(of[0])}"
    if origin is Mapping:
        return f"a table of names, each with {_described(of[1])}"
    if origin is Callable:
        return "something that can be called"
    return _WORDS.get(kind, f"of the class {kind.__name__}")

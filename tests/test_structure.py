"""The house is as the design draws it: who may import whom, who may touch files, what is public."""

from __future__ import annotations

import ast
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import version
from imagenet_prep.outputs.base import OUTPUTS
from imagenet_prep.sources.base import SOURCES

pytestmark = pytest.mark.quick

SOURCE = Path(imagenet_prep.__file__).parent
MODULES = sorted([*SOURCE.rglob("*.py"), SOURCE / "__init__.pyi"])  # which has the imports of the package itself
DESIGN = SOURCE.parents[1] / "docs/design.md"

# What each module may import beside itself: a name stands for a module, or for a room and all in it. The entry that
# fits a module best counts. Imports inside functions and for type checkers alone are imports like all others.
FACTS = ("errors", "imagenet", "model")
MAY_IMPORT = {
    "errors": (),
    "version": (),
    "platform": ("errors",),
    "imagenet": ("errors", "imagenet"),
    "imagenet.classes": ("errors", "imagenet", "model.given"),  # a class table is asked with text
    "model": ("errors", "imagenet", "model"),
    "model.given": ("errors", "platform"),
    # For type checkers the two last: a task holds one of each.
    "model.task": ("errors", "imagenet.names", "model", "outputs.base", "stores.base"),
    "codecs": (*FACTS, "codecs"),
    "engines": ("errors", "version", "engines"),
    "stores": ("errors", "model", "platform", "stores"),
    "stores.base": ("model", "stores.ranges", "stores.scratch"),
    "stores.ranges": ("model",),
    "stores.memory": ("errors", "model", "stores.base"),
    "outputs.base": ("errors", "model", "stores.base"),
    "outputs.records": (*FACTS, "codecs", "stores.base", "outputs.base"),
    "outputs.tfrecord": (*FACTS, "codecs", "stores.base", "outputs.base", "outputs.records"),
    "outputs.tfds": (*FACTS, "codecs", "stores.base", "outputs.base", "outputs.records"),
    "outputs.shard_file": FACTS,
    "outputs.webdataset": (*FACTS, "codecs", "stores.base", "outputs.base", "outputs.shard_file"),
    "outputs.parquet": (*FACTS, "codecs", "stores.base", "outputs.base", "outputs.shard_file"),
    "outputs.tables": (*FACTS, "codecs", "stores.base", "outputs.base"),
    "outputs.litdata": (*FACTS, "codecs", "outputs.base", "outputs.tables"),
    "outputs.mds": (*FACTS, "codecs", "outputs.base", "outputs.tables"),
    "outputs.arrayrecord": (*FACTS, "codecs", "stores.base", "stores.digests", "outputs.base", "outputs.records"),
    "outputs.class_folders": FACTS,
    "outputs.folders": (*FACTS, "codecs", "stores.base", "outputs.base", "outputs.class_folders"),
    "options": (*FACTS, "platform", "outputs.base"),
    "planning": (*FACTS, "codecs.smallest", "options", "outputs.base", "planning"),
    "sources": (*FACTS, "codecs", "platform", "sources"),
    "sources.devkit": (*FACTS, "planning.conventions", "sources.packed"),  # says in which numbers a wrong list is
    "sources.found": (*FACTS, "engines.reports"),  # an image that is found is progress
    "dataset": (*FACTS, "codecs", "options", "planning", "outputs.base", "stores.base", "dataset"),
    "testing": (*FACTS, "outputs.base", "stores.base", "stores.memory", "engines.base", "engines.reports", "testing"),
    "testing.source_contract": (
        *FACTS, "sources.base", "sources.found", "sources.plain", "sources.reader", "sources.search",
    ),
    "cli": (*FACTS, "options", "planning", "outputs.base", "testing", "platform", "version", "verbs", "cli"),
    "__main__": ("cli",),
    "__init__": (
        *FACTS, "options", "planning", "verbs", "version", "engines.base",
        "outputs.base", "outputs.tfrecord", "outputs.tfds", "outputs.folders",
        "outputs.webdataset", "outputs.parquet", "outputs.mds", "outputs.litdata",
        "outputs.arrayrecord",  # which a caller makes recipes of,
        "stores.local", "stores.memory",  # and the places that it builds in
    ),
}  # fmt: skip

# A verb may use the rooms below, of stores and outputs the protocols; and the verbs that it is made of.
BELOW_VERBS = (
    *FACTS, "codecs", "options", "planning", "sources", "dataset", "platform", "version",
    "outputs.base", "stores", "stores.base", "stores.digests", "stores.errors", "stores.space",
    "engines.base", "engines.factory", "engines.reports", "engines.shared_files",
)  # fmt: skip
VERBS = {
    "index": ("verbs.assemble", "verbs.annotations"),
    "assemble": ("verbs.annotations", "verbs.boxes"),
    "annotations": (),
    "boxes": ("verbs.annotations",),
    "decode": (),
    "check": ("verbs.index", "verbs.decode", "verbs.checksums", "verbs.annotations", "verbs.original"),
    "original": (),
    "checksums": (),
    "archives": ("verbs.checksums", "verbs.damage", "verbs.fetch", "verbs.similar_names"),
    "damage": ("verbs.index", "verbs.decode"),
    "similar_names": ("verbs.fetch",),
    # Archives are no part of a data set: fetch writes them by the same means as a local store writes its files.
    "fetch": ("verbs.checksums", "stores.lock", "stores.publish", "stores.sync", "stores.temporary"),
    "build": ("verbs.index", "verbs.decode", "verbs.original", "stores.temporary"),  # for what is unpacked
    "audit": ("verbs.decode",),
    "resume": ("verbs.build", "verbs.audit"),
    "open": (),
    "recipe": (),
    "undo": ("verbs.build",),
}  # fmt: skip
MAY_IMPORT |= {f"verbs.{name}": (*BELOW_VERBS, f"verbs.{name}", *others) for name, others in VERBS.items()}

# Who looks at files beside the stores, and why. Of a data set they see nothing: these are files of the source, of the
# user, and of other people's data sets.
TOUCHES_FILES = {
    "options": "reads lists of classes and images that the user names",
    "verbs.build.preflight": "asks of the source's files whether they can be moved",
    "verbs.build.relocate": "takes the names of moved files away in the source",
    "verbs.build.shard": "asks whether an archive has changed while it was read",
    "verbs.build.spool": "unpacks archives to files that nobody else can open, and are no part of the data set",
    "verbs.undo": "gives the folders of the source the times they had",
    "verbs.audit.others": "looks at data sets that others made, which lie in folders of theirs",
}
BOUND_TO_STORES = ("imagenet", "model", "codecs", "options", "planning", "outputs", "dataset", "verbs")
NOT_A_DATA_SET = (
    "codecs.tar", "verbs.fetch", "verbs.archives", "verbs.checksums", "verbs.check", "verbs.index",
    "verbs.similar_names",
)  # fmt: skip


OF_PATHS = {
    "read_bytes", "read_text", "write_bytes", "write_text", "unlink", "rename", "mkdir", "rmdir", "iterdir", "glob",
    "rglob", "exists", "is_file", "is_dir", "touch", "symlink_to", "hardlink_to",
}  # fmt: skip


OF_STORES = ("store", "self.store", "self._store")  # whose methods have names of their own


def name_of(path: Path) -> str:
    """The name of a module below the package; that of a package is its folder's."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(path: Path) -> frozenset[str]:
    """The modules of the program that one imports, wherever it does, by name below the package."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {_meant(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    ours = {name.removeprefix("imagenet_prep.") for name in found if name.startswith("imagenet_prep.")}
    return frozenset(ours - {name_of(path)})


def _meant(module: str, name: str) -> str:
    full = f"{module}.{name}"
    return full if full.removeprefix("imagenet_prep.") in NAMES else module


def imports_of_others(path: Path) -> set[str]:
    """The modules from elsewhere, by the first part of their names."""
    nodes = list(ast.walk(parsed(path)))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in found} - {"imagenet_prep"}


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def rule_for(name: str) -> tuple[str, ...]:
    return MAY_IMPORT[max((room for room in MAY_IMPORT if within(name, room)), key=len)]


def is_allowed(name: str, rule: tuple[str, ...]) -> bool:
    """``stores`` in the rule of a verb means the one function there, not the room."""
    alone = {"stores"} if "stores.digests" in rule else set()
    return any(name == room if room in alone else within(name, room) for room in rule)


def by_name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", MODULES, ids=by_name)
def test_a_module_imports_what_its_room_may(path: Path) -> None:
    name = name_of(path)
    if name not in ("verbs", "outputs"):  # which hold a sentence each
        assert {each for each in imports(path) if not is_allowed(each, rule_for(name))} == set()


def test_every_room_has_a_rule_and_every_rule_a_room() -> None:
    assert {name for name in NAMES if not any(within(name, room) for room in MAY_IMPORT)} <= {"verbs", "outputs"}
    assert {room for room in MAY_IMPORT if not any(within(name, room) for name in NAMES)} == set()


def test_no_files_import_each_other_in_a_circle() -> None:
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join((*way[way.index(name) :], name))
        if name not in done and name in NAMES:
            for other in imports(NAMES[name]):
                visit(other, (*way, name))
            done.add(name)

    for name in NAMES:
        visit(name, ())


# One name for each end --------------------------------------------------------------------------------------------


def constants(path: Path) -> Iterator[str]:
    """Every text in a module, docstrings excepted."""
    tree = parsed(path)
    described = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False)
    ]
    docstrings = {id(node.body[0].value) for node in described if isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


NAMES_A_FORMAT = {
    "codecs.features": "TFDS's own word for the form of a file",
    "cli.demo": "shows two formats",
}


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path).split(".")[0] != "outputs"], ids=by_name)
def test_no_module_outside_the_outputs_names_a_format(path: Path) -> None:
    named = set(OUTPUTS) & set(constants(path))
    assert not named or name_of(path) in NAMES_A_FORMAT
    implementations = {f"outputs.{name}" for name in OUTPUTS}
    assert not implementations & imports(path) or name_of(path) == "__init__"


NAMES_A_SOURCE = {
    "verbs.audit.others.look": "walks the class folders that others made",
    "verbs.damage": "says which class tars a damaged download spoils",
}


@pytest.mark.parametrize(
    "path", [path for path in MODULES if name_of(path).split(".")[0] not in ("sources", "testing")], ids=by_name
)
def test_no_module_outside_the_sources_names_a_kind_of_source(path: Path) -> None:
    kinds = {place.removeprefix("imagenet_prep.").rpartition(".")[0] for place in SOURCES.values()}
    assert not set(SOURCES) & set(constants(path))
    assert not kinds & imports(path) or name_of(path) in NAMES_A_SOURCE


def test_the_exceptions_are_needed() -> None:
    assert {name for name in NAMES_A_FORMAT if set(OUTPUTS) & set(constants(NAMES[name]))} == set(NAMES_A_FORMAT)
    assert {
        room for room in TOUCHES_FILES if any(within(name, room) and touched(NAMES[name]) for name in NAMES)
    } == set(TOUCHES_FILES)


def touched(path: Path) -> set[str]:
    """What a module calls that looks at files or changes them; what computes a path from another does not."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called == "open" or re.match(r"(os|shutil|tempfile|Path)(\.|$)", called):
                found.add(called)
            if called.rpartition(".")[2] in OF_PATHS and called.rpartition(".")[0] not in OF_STORES:
                found.add(called)
    pure = re.compile(r"os\.path\.(dirname|basename|join|abspath|commonpath)|os\.fspath|os\.sched_getaffinity")
    return {name for name in found if not pure.fullmatch(name)}


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in MODULES
        if name_of(path).split(".")[0] in BOUND_TO_STORES
        and not any(within(name_of(path), room) for room in (*TOUCHES_FILES, *NOT_A_DATA_SET))
    ],
    ids=by_name,
)
def test_no_module_outside_the_stores_touches_files(path: Path) -> None:
    assert touched(path) == set()


@pytest.mark.parametrize("path", [path for path in MODULES if "outputs" in path.parts], ids=by_name)
def test_outputs_do_not_know_the_file_system(path: Path) -> None:
    assert not imports_of_others(path) & {"os", "shutil", "tempfile", "mmap", "fcntl"}


@pytest.mark.parametrize("path", [path for path in MODULES if "engines" in path.parts], ids=by_name)
def test_engines_know_nothing_about_images(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} - {"engines", "errors", "version"}


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if name_of(path).split(".")[0] in ("imagenet", "model", "planning")],
    ids=by_name,
)
def test_what_decides_has_no_clock_no_chance_and_no_processes(path: Path) -> None:
    assert not imports_of_others(path) & {
        "time", "datetime", "random", "os", "subprocess", "multiprocessing", "threading", "tempfile",
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if name_of(path).split(".")[0] in ("imagenet", "model", "codecs", "options", "outputs")],
    ids=by_name,
)
def test_what_workers_and_options_need_is_light(path: Path) -> None:
    assert not imports_of_others(path) & {"pyarrow", "numpy"}


# The way of one image ---------------------------------------------------------------------------------------------


def way_of_one_image() -> dict[str, list[str]]:
    """The table of the design: each file on the way, and what it leans on, in its order."""
    text = DESIGN.read_text("utf-8").partition("## How one image travels")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \d+ \| `([^`]+)` \|.*\|([^|]*)\|$", text, re.MULTILINE)
    return {_module(file): [_module(each) for each in re.findall(r"`([^`]+)`", leans)] for file, leans in rows}


def _module(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def test_the_way_of_one_image_is_six_files_and_leans_on_what_the_design_says() -> None:
    way = way_of_one_image()
    assert len(way) == 6
    for name, leans_on in way.items():
        used = {each for each in imports(NAMES[name]) if each.split(".")[0] not in FACTS}
        assert used == set(leans_on), name


def test_the_way_of_one_image_does_not_turn_back() -> None:
    way = list(way_of_one_image())
    for place, name in enumerate(way):
        assert not reached_from(name) & set(way[place + 1 :]), name


def reached_from(name: str) -> set[str]:
    reached: set[str] = set()
    ahead = [name]
    while ahead:
        for other in imports(NAMES[ahead.pop()]) - reached:
            reached.add(other)
            ahead += [other] if other in NAMES else []
    return reached


# The parts of the tests -------------------------------------------------------------------------------------------


def test_every_part_of_the_tests_is_run_before_a_change_lands() -> None:
    root = SOURCE.parents[1]
    assert re.findall(r"-m (\S+|\".*\")$", (root / "Makefile").read_text(), re.MULTILINE) == [
        "quick", '"not system"', "system"
    ]  # fmt: skip
    assert "--no-skips make test test-system\n" in (root / ".ci/run").read_text()


def test_a_test_that_does_what_its_part_may_not_is_ended() -> None:
    for command in ([sys.executable, "-c", ""], ["unshare", "true"], ["sh", "-c", "mount none /mnt"]):
        with pytest.raises(pytest.fail.Exception):
            subprocess.run(command, check=False)
    with socket.socket() as connection, pytest.raises(pytest.fail.Exception):
        connection.connect(("192.0.2.1", 80))


# Size and names ---------------------------------------------------------------------------------------------------


def test_every_exported_name_is_there_and_no_other() -> None:
    everything: dict[str, object] = {}
    exec("from imagenet_prep import *", everything)
    assert (
        {"build", "Selection", "OUTPUTS", "__version__"}
        < set(dir(imagenet_prep))
        == everything.keys() - {"__builtins__"}
    )


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'convert'"):
        _ = imagenet_prep.convert  # type: ignore[attr-defined]


def test_no_module_and_no_function_outgrows_the_house() -> None:
    for path in MODULES:
        assert path.read_text("utf-8").count("\n") <= 400, path
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 40, f"{path}: {node.name}"


def test_the_version_is_one() -> None:
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())
    assert project["project"]["version"] == version.__version__


def test_every_type_of_a_returned_value_is_public() -> None:
    """What a field of a public value holds has a name that a caller can import."""
    classes = {
        node.name: node
        for path in MODULES
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef)
        and name_of(path).partition(".")[0] in ("model", "imagenet", "planning", "verbs")
    }
    public = set(dir(imagenet_prep))
    held = {
        f"{name}.{field.target.id}: {word}"
        for name in public & classes.keys()
        for field in classes[name].body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id[0] != "_"
        for word in re.findall(r"\w+", ast.unparse(field.annotation))
        if word in classes.keys() - public
    }
    assert held == set()

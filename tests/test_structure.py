"""The house is as the design draws it: who may import whom, and what is public."""

import ast
import tomllib
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import version

SOURCE = Path(imagenet_prep.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))

# cli → steps → {remote, sources, formats, storage, images, engines} → core → errors; siblings do not know each other.
MAY_IMPORT = {
    "errors": set(),
    "version": set(),
    "platform": {"errors"},
    "core": {"errors"},
    "images": {"core", "errors"},
    "sources": {"core", "errors"},
    "formats": {"core", "errors"},
    "storage": {"core", "errors"},
    "engines": {"errors", "version"},  # nothing about images
    "remote": {"core", "errors", "version"},
    "steps": {"sources", "formats", "storage", "images", "engines", "remote", "core", "errors", "platform", "version"},
    "testing": {"core", "errors", "formats", "engines"},  # of the last two, the protocols alone: see the test below
    "cli": {"steps", "testing", "core", "errors", "platform", "version"},
    "__main__": {"cli"},
    "__init__": {"core", "steps", "formats", "engines", "errors", "version"},
}


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    named |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in named if name.split(".")[0] == "imagenet_prep"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_inwards(path: Path) -> None:
    rooms = {name.split(".")[1] for name in imports(path) if "." in name}
    assert rooms - {room(path)} <= MAY_IMPORT[room(path)]


def test_every_room_has_a_rule() -> None:
    assert {room(path) for path in MODULES} == set(MAY_IMPORT)


def test_the_contracts_know_formats_and_engines_by_their_protocols_alone() -> None:
    used = {name for path in MODULES if room(path) == "testing" for name in imports(path)}
    assert {name for name in used if ".formats" in name} == {"imagenet_prep.outputs.base"}
    assert {name for name in used if ".engines" in name} == {
        "imagenet_prep.engines.base",
        "imagenet_prep.engines.reports",
    }


def test_engines_are_loaded_when_they_are_used() -> None:
    light = {"base", "factory", "reports", "shared_files", "__init__"}
    heavy = {
        name
        for path in MODULES
        if path.parent.name != "engines"
        for name in imports(path)
        if name.startswith("imagenet_prep.engines.") and name.split(".")[2] not in light
    }
    assert not heavy


@pytest.mark.parametrize("path", [path for path in MODULES if room(path) == "core"], ids=lambda path: path.name)
def test_the_core_has_no_clock_no_chance_and_no_processes(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    names |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert not names & {"time", "datetime", "random", "os", "subprocess", "multiprocessing", "threading", "tempfile"}


def test_every_exported_name_is_there_and_no_other() -> None:
    for name in imagenet_prep.__all__:
        assert getattr(imagenet_prep, name) is not None
    assert set(dir(imagenet_prep)) == set(imagenet_prep.__all__)


def test_the_public_names_are_these() -> None:
    assert set(imagenet_prep.__all__) == {
        "Accounts", "Archive", "ArchiveState", "AuditError", "AuditOptions", "AuditReport", "Box",
        "BuildOptions", "Catalog", "CheckOptions", "ClassFacts", "Engine", "FORMATS", "FetchReport", "Fetched",
        "ForeignReport", "Holdings", "IndexOptions", "Note", "OriginFacts", "OtherBuildError", "OutputError",
        "Piece", "Plan", "PlanOptions", "PrepError", "Problem", "Progress", "Report", "Sample", "Shard",
        "ShardName", "SourceError", "SplitAudit", "Stage", "Taxonomy", "TorrentOptions", "UndoReport", "UrlOptions",
        "UsageError", "__version__", "archives", "audit", "audit_foreign", "build", "check", "fetch", "index",
        "official", "plan", "undo", "validation_truth",
    }  # fmt: skip


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'convert'"):
        _ = imagenet_prep.convert


def test_no_module_and_no_function_outgrows_the_house() -> None:
    for path in MODULES:
        text = path.read_text()
        assert text.count("\n") <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 40, f"{path}: {node.name}"


def test_the_version_is_one() -> None:
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())
    assert project["project"]["version"] == version.__version__

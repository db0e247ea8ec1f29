"""The documents say what is true: their commands run, their tables are complete, their links lead somewhere.

Blocks of one document run in their order in one folder, where ``ARCHIVES`` is a miniature and ``FOLDERS`` the same as
folders; a block ``of=`` a reader runs in ``tests/readers``. CONTRIBUTING.md has the conventions. Tables are compared
with the program in both directions.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import imagenet_prep
from imagenet_prep import errors
from imagenet_prep.cli.main import cli
from imagenet_prep.codecs.example import parse
from imagenet_prep.codecs.sealed import unseal
from imagenet_prep.codecs.tfrecord import read_records
from imagenet_prep.dataset.format import FORMAT_VERSION
from imagenet_prep.options import BuildOptions
from imagenet_prep.outputs.base import output_class
from imagenet_prep.testing import LAYOUTS, MiniatureOptions, write_miniature
from imagenet_prep.verbs.build.run import build
from support.build import recipe

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
LANGUAGES = {"sh", "text", "python", "console", "json"}
# What a library needs before a script can import it where its parts do not fit: see tests/readers/torch_vision.py.
FIRST = {
    "torchvision": (
        "-c",
        "import readers.torch_vision, runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')",
    )
}
_CONTEXT = click.Context(cli)
COMMANDS = {
    name: command for name in cli.list_commands(_CONTEXT) if (command := cli.get_command(_CONTEXT, name)) is not None
}


class Block(NamedTuple):
    """A fenced block: where it stands, its language, the ``key=value`` words behind that, its text."""

    place: str
    language: str
    settings: dict[str, str]
    text: str

    @property
    def is_readable_here(self) -> bool:
        """Whether the library it needs, if any, is installed."""
        try:
            return "needs" not in self.settings or find_spec(self.settings["needs"]) is not None
        except ModuleNotFoundError:
            return False


def blocks_of(document: str) -> list[Block]:
    text = DOCUMENTS[document]
    found = []
    for match in re.finditer(r"^```(.*)\n((?:(?!```).*\n)*)```$", text, re.MULTILINE):
        language, *words = match[1].split()
        place = f"{document}:{text.count(chr(10), 0, match.start()) + 1}"
        found.append(Block(place, language, dict(word.split("=") for word in words), match[2]))
    return found


def section(document: str, heading: str) -> str:
    """The text between a heading and the next one of its level or above."""
    level = heading.partition(" ")[0]
    start = DOCUMENTS[document].index(f"{heading}\n") + len(heading)
    end = re.search(rf"^#{{1,{len(level)}}} ", DOCUMENTS[document][start:], re.MULTILINE)
    return DOCUMENTS[document][start : start + end.start() if end else None]


def first_cells(text: str) -> list[str]:
    """What stands as code in the first cell of each table row."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def options_of(command: click.Command) -> set[str]:
    return {
        flag
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }


# Blocks ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_miniature(tmp_path / "ARCHIVES", MiniatureOptions())
    write_miniature(tmp_path / "FOLDERS", MiniatureOptions(layout="extracted", boxes=False, devkit=False))
    return tmp_path


def run(words: list[str], folder: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    modules = [str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    quiet = {"PYTHONWARNINGS": "", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / ".cache")}
    return subprocess.run(
        words,
        cwd=folder,
        input=text,
        env={**os.environ, **quiet, "PATH": path, "PYTHONPATH": os.pathsep.join(modules)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def play(document: str, folder: Path) -> None:
    output = ""
    for block in blocks_of(document):
        if block.language == "sh":
            done = run(["bash", "-euo", "pipefail"], folder, block.text)
            output = done.stdout
            assert done.returncode == int(block.settings.get("exit", 0)), f"{block.place}:\n{output}"
        elif block.language == "text":
            missing = [line for line in block.text.splitlines() if not says(output, line)]
            assert not missing, f"{block.place}: the output does not have {missing}:\n{output}"
        elif block.language == "python" and "of" not in block.settings and block.is_readable_here:
            script = folder / "script.py"
            script.write_text(block.text, "utf-8")
            done = run([sys.executable, *FIRST.get(block.settings.get("needs", ""), ()), script.name], folder)
            assert done.returncode == 0, f"{block.place}:\n{done.stdout}"


def says(output: str, expected: str) -> bool:
    """Whether a line of the output is the expected one; "…" stands for anything, indentation does not count."""
    pattern = re.compile(".+".join(map(re.escape, expected.strip().split("…"))))
    return any(pattern.fullmatch(line.strip()) for line in output.splitlines())


def plays(*languages: str) -> list[str]:
    return [document for document in DOCUMENTS if any(block.language in languages for block in blocks_of(document))]


@pytest.mark.system
@pytest.mark.parametrize("document", plays("sh", "python"))
def test_the_commands_and_scripts_of_a_document_do_what_it_says(document: str, folder: Path) -> None:
    play(document, folder)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_has_a_language_that_says_what_becomes_of_it(document: str) -> None:
    assert {block.language for block in blocks_of(document)} <= LANGUAGES
    assert DOCUMENTS[document].count("\n```") == 2 * len(blocks_of(document))


@pytest.mark.parametrize("document", plays("python"))
def test_scripts_for_libraries_that_are_not_here_are_python_all_the_same(document: str) -> None:
    for block in blocks_of(document):
        if block.language == "python":
            compile(block.text, block.place, "exec")


# Commands and options ----------------------------------------------------------------------------------------------


def mentioned_commands() -> list[tuple[str, list[str]]]:
    """Every ``imagenet-prep …`` in a block or as code in a sentence: where, and its words."""
    mentioned = []
    for document, text in DOCUMENTS.items():
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        lines = [(document, code) for code in re.findall(r"`([^`\n]+)`", prose)]
        for block in blocks_of(document):
            if block.language in ("sh", "console"):
                lines += [(block.place, line) for line in block.text.splitlines()]
        for place, line in lines:
            if match := re.match(r"(?:\$ )?(?:\.venv/bin/)?imagenet-prep (.*)", line):
                mentioned.append((place, shlex.split(match[1], comments=True)))
    return mentioned


def test_every_command_in_the_documents_exists() -> None:
    assert len(mentioned_commands()) > 20
    for place, words in mentioned_commands():
        command = COMMANDS.get(words[0])
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        if command is None:
            assert words[0].startswith("-"), f"{place}: {words}"
            assert options <= options_of(cli) | {"--help"}, f"{place}: {words}"
        else:
            assert options <= options_of(command) | {"--help"}, f"{place}: {words}"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_commands_has_every_option_of_a_command_and_no_other(name: str) -> None:
    text = section("docs/commands.md", f"## imagenet-prep {name}")
    rows = "".join(re.findall(r"^\| (`--[^|]+)\|", text, re.MULTILINE))
    assert set(re.findall(r"`(--[a-z-]+)`", rows)) == options_of(COMMANDS[name])


def test_the_page_of_commands_has_every_command_and_no_other() -> None:
    assert re.findall(r"^## imagenet-prep (.+)$", DOCUMENTS["docs/commands.md"], re.MULTILINE) == list(COMMANDS)


def test_an_option_named_in_a_sentence_is_one_of_some_command() -> None:
    known = {"--help"} | options_of(cli) | {flag for command in COMMANDS.values() for flag in options_of(command)}
    named = {
        (document, flag)
        for document, text in DOCUMENTS.items()
        for flag in re.findall(r"`(--[a-z][a-z-]*)[^`\n]*`", text)
        if flag not in known
    }
    assert not named


# Tables ------------------------------------------------------------------------------------------------------------


def test_the_page_of_exit_codes_has_every_error_with_its_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (?:`(\w+)`)? *\|", DOCUMENTS["docs/exit-codes.md"], re.MULTILINE)
    declared: set[type[errors.PrepError]] = {errors.PrepError, *errors.PrepError.__subclasses__()}
    assert {(int(code), name) for code, name in rows if name} == {(each.exit_code, each.__name__) for each in declared}
    assert {int(code) for code, name in rows if not name} == {0, 3, 130}


def test_the_help_of_the_command_has_the_same_exit_codes_as_the_page() -> None:
    help_text = CliRunner().invoke(cli, ["--help"]).output.partition("Exit codes:")[2]
    rows = re.findall(r"^\| (\d+) \|", DOCUMENTS["docs/exit-codes.md"], re.MULTILINE)
    assert re.findall(r"^ +(\d+)  ", help_text, re.MULTILINE) == rows


def test_the_page_of_python_names_has_exactly_the_public_ones() -> None:
    named = first_cells(DOCUMENTS["docs/reference.md"])
    assert sorted(named) == dir(imagenet_prep)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of all formats, with boxes, a converted image and three splits."""
    out = tmp_path_factory.mktemp("formats")
    write_miniature(out / "archives", MiniatureOptions(classes=2, images_per_class=4, quirks=("cmyk",)))
    options = BuildOptions.of(format=("tfrecord", "tfds", "folders"), test_per_class=1, jobs=1)
    build(out / "archives", out / "data", options)
    return out / "data"


def test_the_columns_of_the_manifest_are_as_documented(data: Path) -> None:
    documented = first_cells(section("docs/format.md", "## manifest.parquet"))
    actual = [
        re.sub(r"^(tfds|tfrecord)\.", "OUTPUT.", name) for name in pq.read_schema(data / "manifest.parquet").names
    ]
    assert list(dict.fromkeys(actual)) == documented


@pytest.mark.parametrize(
    ("heading", "path"), [("## build.json", "build.json"), ("## State", ".imagenet-prep/state.json")]
)
def test_the_keys_of_a_document_are_as_documented(heading: str, path: str, data: Path) -> None:
    documented = first_cells(section("docs/format.md", heading))
    assert sorted(documented) == sorted(json.loads((data / path).read_bytes()))


def test_the_format_version_is_as_documented(data: Path) -> None:
    assert f"# Format of a data set, version {FORMAT_VERSION}\n" in DOCUMENTS["docs/format.md"]
    for path in ("build.json", ".imagenet-prep/state.json"):
        assert unseal((data / path).read_bytes())["format_version"] == FORMAT_VERSION


def test_the_keys_of_the_recipe_are_as_documented() -> None:
    selection, outputs = section("docs/format.md", "## The recipe").split("Outputs, by name")
    document = recipe(format=tuple(imagenet_prep.OUTPUTS)).document()
    assert first_cells(selection) == list(document["selection"])
    options = {f"{name}.{option}" for name, options in document["outputs"].items() for option in options}
    assert set(first_cells(outputs)) == options


@pytest.mark.parametrize(("page", "table"), [("README", "classes.csv"), ("folders", "folders/classes.csv")])
def test_the_columns_of_class_tables_are_as_documented(page: str, table: str, data: Path) -> None:
    documented = first_cells(section(f"docs/formats/{page}.md", f"## {table}"))
    assert documented == (data / table).read_text("utf-8").splitlines()[0].split(",")


def test_the_page_of_commands_has_every_layout_of_the_miniature() -> None:
    text = section("docs/commands.md", "## imagenet-prep fake").partition("| `--layout` | what it is |")[2]
    assert first_cells(text) == list(LAYOUTS)


@pytest.mark.parametrize(
    ("page", "heading", "shard"),
    [
        ("tfrecord", "## Classic schema", "tfrecord/train-00000-of-00001"),
        ("tfds", "## TFDS schema", "tfds/imagenet2012/5.1.0/imagenet2012-train.tfrecord-00000-of-00001"),
    ],
)
def test_the_keys_of_a_record_are_as_documented_and_in_that_order(
    page: str, heading: str, shard: str, data: Path
) -> None:
    with (data / shard).open("rb") as file:
        _, record = next(read_records(file, shard, (data / shard).stat().st_size))
    assert list(parse(record)) == first_cells(section(f"docs/formats/{page}.md", heading))


@pytest.mark.parametrize("name", imagenet_prep.OUTPUTS)
def test_the_page_of_a_format_shows_what_to_install_and_run_for_each_of_its_readers(name: str) -> None:
    page = f"docs/formats/{name}.md"
    snippets = {block.settings["of"]: block.text for block in blocks_of(page) if "of" in block.settings}
    assert snippets == {reader.framework: reader.snippet for reader in output_class(name).readers}
    for reader in output_class(name).readers:
        options = "".join(f" --{option.replace('_', '-')} {value}" for option, value in reader.options.items())
        assert f"`pip install {reader.install}`" in DOCUMENTS[page]
        assert f"`--format {name}{options}`" in DOCUMENTS[page]


# The rest ----------------------------------------------------------------------------------------------------------


def heading_anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", DOCUMENTS[document]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / document).parent / path if path else ROOT / document
        assert there.exists(), target
        assert not anchor or anchor in heading_anchors(there.read_text("utf-8")), target


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        path = ahead.pop().resolve()
        if path.suffix == ".md" and path not in reached:
            reached.add(path)
            links = re.findall(r"\]\(([^)#:]+)", path.read_text("utf-8"))
            ahead += [path.parent / link for link in links]
    assert reached == {
        (ROOT / document).resolve() for document in [*DOCUMENTS, "benchmarks/README.md", "examples/README.md"]
    }


def test_every_example_is_in_their_table() -> None:
    table = (ROOT / "examples/README.md").read_text("utf-8")
    named = re.findall(r"^\| `(\w+\.py)`", table, re.MULTILINE)
    assert sorted(named) == sorted(path.name for path in (ROOT / "examples").glob("*.py"))


def test_every_decision_has_the_same_parts() -> None:
    pages = {name: text for name, text in DOCUMENTS.items() if re.search(r"decisions/\d{4}-", name)}
    assert len(pages) > 10
    for name, text in pages.items():
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Why", "Rejected", "Consequences"], name
        assert text.startswith(f"# {int(Path(name).name[:4])}. "), name


def test_the_version_is_the_same_everywhere() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    newest = re.search(r"^## (\S+)", DOCUMENTS["CHANGELOG.md"], re.MULTILINE)
    assert newest
    assert newest[1] == pyproject["project"]["version"] == imagenet_prep.__version__


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "Copyright 2026 the imagenet-prep authors" in text

"""What `make docs` adds to mkdocs: a site that asks nothing of others, and pages that the program writes itself."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

import imagenet_prep
from imagenet_prep.outputs.base import OUTPUTS, output_class

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = spec_from_file_location("site_hooks", ROOT / "scripts/site.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "text",
    [
        '<link rel="stylesheet" href="https://fonts.example/a.css">',
        '<script async src="//cdn.example/a.js"></script>',
        "<img alt=x src='http://pictures.example/a.png'>",
        "body { background: url(https://pictures.example/a.png) }",
        '@import "https://fonts.example/a.css";',
    ],
)
def test_what_a_page_would_fetch_from_another_machine_is_found(text: str, site: ModuleType) -> None:
    assert len(site.foreign_addresses(text)) == 1


def test_a_link_that_a_reader_may_follow_is_none_and_neither_is_a_file_of_the_site(site: ModuleType) -> None:
    text = (
        '<a href="https://image-net.org">x</a><img src="../demo.svg"><link href="assets/a.css"><svg xmlns="http://w3">'
    )
    assert site.foreign_addresses(text) == []


def test_an_option_without_a_word_on_the_page_of_commands_ends_the_build(site: ModuleType) -> None:
    page = (ROOT / "docs/commands.md").read_text("utf-8")
    with pytest.raises(ValueError, match=r"imagenet-prep build: no word about --on-bad"):
        site.with_help(page.replace("`--on-bad`", "`--on-good`"))


def test_the_page_of_commands_gets_the_help_of_each_command(site: ModuleType) -> None:
    page = site.with_help((ROOT / "docs/commands.md").read_text("utf-8"))
    build = page[page.index("## imagenet-prep build\n") : page.index("## imagenet-prep resume\n")]
    assert build.count("<summary>imagenet-prep build --help</summary>") == 1
    assert "Usage: imagenet-prep build [OPTIONS] SOURCE… OUT" in build
    assert "At most N images of each class in each split." in re.sub(r"\s+", " ", build)


def test_each_value_of_for_has_a_page_with_its_code_and_a_place_in_the_navigation(site: ModuleType) -> None:
    pages = site.framework_pages()
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    readers = [reader for name in OUTPUTS for reader in output_class(name).readers if reader.meant_by]
    for reader in readers:
        for name in reader.meant_by:
            assert f"--for {name}\n" in pages[f"docs/frameworks/{name}.md"]
            assert reader.snippet.rstrip() in pages[f"docs/frameworks/{name}.md"]
            assert f": docs/frameworks/{name}.md\n" in navigation
    assert len(pages) == sum(len(reader.meant_by) for reader in readers)


def test_each_public_name_is_on_one_page_of_docstrings(site: ModuleType) -> None:
    text = "\n".join(site.name_pages().values())
    assert sorted(re.findall(r"^::: imagenet_prep\.(\w+)$", text, re.MULTILINE)) == [
        name for name in dir(imagenet_prep) if name != "__version__"
    ]

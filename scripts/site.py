"""What mkdocs cannot know by itself, as its hooks: ``make docs``.

The pages are the documents as they lie in the repository, with their links; so the site has the repository's folders.
Three kinds of text come from the program: the help of each command, a page for each value of ``--for``, and the
docstrings of the public names, in the sections of ``docs/reference.md``. An option that the page of commands lacks ends
the build, and so does a page that would ask something of another machine. mkdocs is imported where it is needed: the
tests have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from imagenet_prep.cli.main import cli
from imagenet_prep.outputs.base import OUTPUTS, Reader, output_class

ROOT = Path(__file__).parents[1]
PAGES = ("*.md", "docs/**/*.md", "benchmarks/README.md", "examples/README.md")
BESIDE = ("LICENSE", "docs/*.svg", "examples/*.py")
# What makes a browser fetch something, as an address with a host.
FOREIGN = re.compile(
    r"<(?:link|script|img|iframe|source|video|audio|object|embed)\b[^>]*?\s(?:src|href|data|srcset)=[\"']?"
    r"((?:https?:)?//[^\"'\s>]+)|(?:url\(|@import )[\"']?((?:https?:)?//[^\"')\s]+)",
    re.IGNORECASE,
)


def on_files(files: Any, config: Any) -> Any:
    """Put the repository's documents, and the pages made from the program, in the place of the folder ``docs``."""
    from mkdocs.structure.files import File

    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    for pattern in (*PAGES, *BESIDE):
        for path in sorted(ROOT.glob(pattern)):
            name = str(path.relative_to(ROOT))
            files.append(File.generated(config, name, abs_src_path=str(path)))
    for name, text in {**framework_pages(), **name_pages()}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leave of a code block's first line what a highlighter knows, and add to the commands what the program says."""
    markdown = re.sub(r"^```(\w+) .*$", r"```\1", markdown, flags=re.MULTILINE)
    if page.file.src_uri == "docs/commands.md":
        return with_help(markdown)
    if page.file.src_uri == "docs/reference.md":
        return re.sub(r"^\| `([a-zA-Z]\w+)`", r"| [`\1`][imagenet_prep.\1]", markdown, flags=re.MULTILINE)
    return markdown


def on_post_build(config: Any) -> None:
    """End the build if a page of it would ask something of another machine."""
    from mkdocs.exceptions import PluginError

    asked = {
        f"{path.relative_to(config.site_dir)}: {address}"
        for path in Path(config.site_dir).rglob("*")
        if path.suffix in (".html", ".css", ".svg")
        for address in foreign_addresses(path.read_text("utf-8"))
    }
    if asked:
        raise PluginError("Pages that ask something of another machine:\n" + "\n".join(sorted(asked)))


def foreign_addresses(text: str) -> list[str]:
    """Find what a browser would fetch from another machine to show this page, style sheet or picture."""
    return [first or second for first, second in FOREIGN.findall(text)]


def with_help(markdown: str) -> str:
    """Add to the section of each command what its ``--help`` prints; an option that the section lacks is an error."""
    group = click.Context(cli)
    for name in cli.list_commands(group):
        command = cli.get_command(group, name)
        assert command
        heading = f"## imagenet-prep {name}\n"
        start = markdown.index(heading)
        end = markdown.find("\n## ", start) % (len(markdown) + 1)
        flags = {flag for each in command.params if isinstance(each, click.Option) for flag in each.opts}
        lacking = sorted(flag for flag in flags if flag.startswith("--") and f"`{flag}`" not in markdown[start:end])
        if lacking:
            raise ValueError(f"docs/commands.md, {heading[3:-1]}: no word about {', '.join(lacking)}")
        markdown = f"{markdown[:end]}\n{_help(name, command)}{markdown[end:]}"
    return markdown


def _help(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"imagenet-prep {name}", terminal_width=100, max_content_width=100)
    text = click.unstyle(command.get_help(context))
    opened = f'<details markdown="1"><summary>imagenet-prep {name} --help</summary>'
    return f"\n{opened}\n\n```text\n{text}\n```\n\n</details>\n"


def framework_pages() -> dict[str, str]:
    """Make a page for each value of ``--for``: the command, what it stands for, and the code that reads the result."""
    readers = [(name, reader) for name in OUTPUTS for reader in output_class(name).readers]
    pages = {}
    for name, reader in readers:
        others = [other for other, each in readers if each.framework == reader.framework and other != name]
        for framework in reader.meant_by:
            pages[f"docs/frameworks/{framework}.md"] = _framework_page(framework, name, reader, others)
    return pages


def _framework_page(framework: str, output: str, reader: Reader, others: list[str]) -> str:
    options = "".join(f" --{option.replace('_', '-')} {value}" for option, value in reader.options.items())
    links = [f"[{other}](../formats/{other}.md#read-it)" for other in others]
    also = f"\n\nIt also reads {' and '.join(links)}." if links else ""
    return f"""# Train with {framework}

```sh
imagenet-prep build ARCHIVES DATA --for {framework}
```

This is `--format {output}{options}`; [the format](../formats/{output}.md) has a page of its own. Install what reads it:

```sh
pip install {reader.install}
```

```python
{reader.snippet.rstrip()}
```

A script that goes as far as a first batch is among [the examples](../../examples/README.md).{also}
"""


def name_pages() -> dict[str, str]:
    """Make a page of docstrings for each section of the page of Python names that has a table."""
    return {f"docs/api/{slug}.md": text for slug, text in _name_pages((ROOT / "docs/reference.md").read_text("utf-8"))}


def _name_pages(reference: str) -> Iterator[tuple[str, str]]:
    for section in reference.split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        names = re.findall(r"^\| `([a-zA-Z]\w+)`", section, re.MULTILINE)
        if names:
            blocks = [f"::: imagenet_prep.{name}\n" for name in names]
            yield heading.lower().replace(" ", "-"), "\n".join([f"# {heading}\n", *blocks])

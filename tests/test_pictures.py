"""The pictures of the README show what is so: the chart the figures of the benchmarks, the recording today's demo."""

from __future__ import annotations

import html
import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from support.command import run

ROOT = Path(__file__).parents[1]
BENCHMARKS = (ROOT / "benchmarks/README.md").read_text("utf-8")

pytestmark = pytest.mark.quick


def script(path: str) -> ModuleType:
    spec = spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "benchmarks/figures.json").read_text("utf-8"))
    return loaded


def test_the_chart_is_what_its_script_draws_of_the_figures(figures: dict[str, Any]) -> None:
    assert (ROOT / "docs/speed.svg").read_text("utf-8") == script("benchmarks/chart.py").chart(figures)


def test_another_figure_gives_another_chart(figures: dict[str, Any]) -> None:
    other = json.loads(json.dumps(figures))
    other["comparisons"][0]["bars"][0]["seconds"] += 1
    chart = script("benchmarks/chart.py").chart
    assert chart(other) != chart(figures)


def test_each_figure_of_the_chart_stands_in_the_page_of_benchmarks(figures: dict[str, Any]) -> None:
    for each in figures["comparisons"]:
        row = " s | ".join(f"{bar['seconds']}" for bar in each["bars"]) + " s |"
        assert row in BENCHMARKS
        assert f"{each['date']} · {each['machine']}" in BENCHMARKS
        assert f"`{each['script']}`" in BENCHMARKS


def test_the_expected_times_are_computed_from_ratios_that_were_measured(figures: dict[str, Any]) -> None:
    section = BENCHMARKS.partition("### Expected for the real set")[2]
    rows = script("benchmarks/chart.py").expected_times(figures)
    assert re.findall(r"^\| .* min \|$", section, re.MULTILINE) == rows
    least, most = figures["expected"]["ratios_to_cp"]
    assert f"| 5.0 GB, cold | 4 | 10.55 s | 6.74 s | {least} |" in BENCHMARKS
    assert f"| 5.0 GB, in the page cache | 7 | 2.44 s | 2.94 s | {most} " in BENCHMARKS


def bare(text: str) -> str:
    """The text without what a run or the width of a screen decides: figures, and where lines end."""
    return re.sub(r"[\d.,]+|\s", "", text)


def test_the_recording_shows_what_the_demo_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [bare(line) for line in run("demo").stdout.splitlines()]
    assert len(lines) > 50
    rows = re.findall(r"<text [^>]*>(.*)</text>", (ROOT / "docs/demo.svg").read_text("utf-8"))
    shown = bare(html.unescape(re.sub(r"<[^>]+>", "", "".join(rows))))
    at = 0
    for line in lines:
        at = shown.find(line, at)
        assert at >= 0, line
        at += len(line)


@pytest.mark.parametrize("name", ["speed", "demo"])
def test_a_picture_is_small_and_shows_by_itself(name: str) -> None:
    path = ROOT / f"docs/{name}.svg"
    root = ET.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert path.stat().st_size < 20_000
    assert script("scripts/site.py").foreign_addresses(path.read_text("utf-8")) == []

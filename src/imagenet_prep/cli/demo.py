"""``imagenet-prep demo [OUT]``: the whole job on a miniature, with nothing downloaded."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from imagenet_prep.cli.options import LocalPath
from imagenet_prep.cli.progress import watching
from imagenet_prep.cli.screen import say
from imagenet_prep.errors import OutputError


@click.command()
@click.argument("out", type=LocalPath(), default=Path("imagenet-demo"))
def demo(out: Path) -> None:
    """Make a miniature ILSVRC2012 in OUT, build both TFRecord formats from it, and read everything back."""
    from imagenet_prep.cli import show
    from imagenet_prep.model.audit_report import AuditOptions
    from imagenet_prep.options import BuildOptions
    from imagenet_prep.testing import MiniatureOptions, write_miniature
    from imagenet_prep.verbs.audit.run import audit
    from imagenet_prep.verbs.build.run import build

    archives, data = out / "archives", out / "data"
    if archives.exists() or data.exists():
        raise OutputError(f"{out} holds a demo already.", remedy="Delete it, or give another folder.")
    say(f"1. A miniature of ILSVRC2012, in the official layout, in {archives}")
    miniature = write_miniature(archives, MiniatureOptions(quirks=("cmyk", "png", "greyscale", "exif-orientation")))
    rows = [(path.name, show.size(path.stat().st_size)) for path in miniature.archives]
    say(show.table(rows))
    say(f"2. imagenet-prep build {archives} {data} --format tfrecord --format tfds --test-per-class 10")
    with watching(quiet=True) as watch:
        report = build(
            archives, data, BuildOptions.of(format=("tfrecord", "tfds"), test_per_class=10, jobs=1), watch=watch
        )
        say(show.summary(report, str(data)))
        say(f"3. imagenet-prep audit {data}")
        say(show.audited(audit(data, AuditOptions(jobs=1), watch=watch), str(data)))
    say("4. What came out")
    say(show.tree(data))
    say(
        "\nWith your own images, in whatever form you have them:\n\n"
        "  imagenet-prep check ARCHIVES\n"
        "  imagenet-prep build ARCHIVES DATA\n"
    )
    say(f"Without any: imagenet-prep fetch ARCHIVES. The demo may go: rm -r {shlex.quote(str(out))}")

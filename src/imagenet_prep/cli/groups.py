"""The help of ``build``, which has more options than a screen has lines: in groups, those that matter first."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Options that matter first": ("--for", "--format", "--test-per-class", "--dry-run", "--jobs"),
        "What to read": ("--class-map", "--trust-labels", "--require-original"),
        "Which images": (
            "--split",
            "--classes",
            "--images-per-class",
            "--limit",
            "--exclude",
            "--test-list",
            "--resplit",
            "--seed",
            "--recipe",
        ),
        "What to write": ("--shards", "--names", "--validation-folder", "--transfer", "--set"),
        "How to work": ("--check", "--on-bad", "--engine", "--json", "--quiet", "--help"),
    }
)


class InGroups(click.Command):
    """A command whose help has its options in these groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups."""
        records = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
            if record:
                records[max(option.opts, key=len)] = record
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([records.pop(name) for name in names])
        assert not records, f"options in no group: {sorted(records)}"

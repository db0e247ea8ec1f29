"""``imagenet-prep repair OUT [SOURCE…]``."""

from __future__ import annotations

from typing import Any

import click

from imagenet_prep.cli.resume import going_on, run


@going_on
def repair(context: click.Context, /, **given: Any) -> None:
    """Read the data set in OUT back, and write the damaged and missing shards again.

    The sources of the build are remembered. Give SOURCE if they were moved. If nothing is damaged, none is needed.
    """
    from imagenet_prep.cli import show
    from imagenet_prep.verbs.resume import repair as repair_step

    run(context, repair_step, show.repaired, **given)

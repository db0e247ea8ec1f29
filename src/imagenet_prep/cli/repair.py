"""``imagenet-prep repair OUT [SOURCE…]``."""

from __future__ import annotations

from typing import Any

import click

from imagenet_prep.cli.resume import going_on, run


@going_on
def repair(context: click.Context, /, **given: Any) -> None:
    """Read the data set in OUT back, and write again what is damaged or missing.

    Everything is compared with its receipt. The sources are those of the build, or SOURCE where they were moved; none
    is needed where nothing is damaged.
    """
    from imagenet_prep.cli import show
    from imagenet_prep.verbs.resume import repair as repair_step

    run(context, repair_step, show.repaired, **given)

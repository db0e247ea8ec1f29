"""Audit: read every record of a finished build back, from the output folder alone, and compare it with the manifest.

The engine comes first, then what needs Arrow, as in a build: so workers are forked, and ready while it is loaded.
"""

from __future__ import annotations

from pathlib import Path

from imagenet_prep.dataset.layout import is_build
from imagenet_prep.engines.factory import AnyEngine, engine_for
from imagenet_prep.errors import AuditError
from imagenet_prep.model.audit_report import AuditOptions, AuditReport
from imagenet_prep.model.events import Watch, unwatched
from imagenet_prep.sources.layout import Source


def audit(
    out: Source,
    options: AuditOptions | None = None,
    *,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> AuditReport:
    """Read the build in ``out`` back and compare it with its manifest.

    Checked: ``build.json`` and all it lists; size and digest of every file; framing, checksums, name, class index and
    image of every record; every image that was set aside; that no image is there twice, and no file that is not of the
    build; the class table; what resuming needs. Raises AuditError with all that differs.

    ``engine`` does the work instead of ``options.jobs`` processes, as in a build.
    """
    out, options = Path(out), options or AuditOptions()
    if not is_build(out):
        remedy = "Of a data set that others made, audit_foreign says what it is."
        raise AuditError(f"{out} is no build of imagenet-prep.", remedy=remedy)
    with engine_for(engine, options.jobs) as at_work:
        from imagenet_prep.verbs.audit.compare import compare

        return compare(out, options, at_work, watch)

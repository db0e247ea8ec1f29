"""Audit: read every record of a finished data set back, from itself alone, and compare it with the manifest.

The engine comes first, then what needs Arrow, as in a build: so workers are forked, and ready while it is loaded.
"""

from __future__ import annotations

from imagenet_prep.dataset.layout import is_data_set
from imagenet_prep.engines.factory import AnyEngine, engine_for
from imagenet_prep.errors import AuditError
from imagenet_prep.model.audit_report import AuditOptions, AuditReport
from imagenet_prep.model.events import Watch, unwatched
from imagenet_prep.model.given import given, options_given
from imagenet_prep.stores import Place, store_at


def audit(
    out: Place,
    options: AuditOptions | None = None,
    *,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> AuditReport:
    """Read the data set in ``out`` back and compare it with its manifest.

    Checked: ``build.json`` and all it lists; size and digest of every file; framing, checksums, name, class index and
    image of every record; every image that was set aside; that no image is there twice, and no file that is not of the
    data set; the class table; what resuming needs. Raises AuditError with all that differs.

    ``engine`` does the work instead of ``options.jobs`` processes, as in a build.
    """
    store, options = store_at(out), options_given(options, AuditOptions)
    watch = given("watch", watch, Watch)
    if not is_data_set(store):
        remedy = "Of a data set that others made, audit_foreign says what it is."
        raise AuditError(f"{store.place} is not a data set of imagenet-prep.", remedy=remedy)
    with engine_for(engine, options.jobs) as at_work:
        from imagenet_prep.verbs.audit.compare import compare

        return compare(store, options, at_work, watch)


def is_own(out: Place) -> bool:
    """Whether ``out`` holds a data set of this program, so that ``audit`` can read it, or else ``audit_foreign``."""
    return is_data_set(store_at(out))

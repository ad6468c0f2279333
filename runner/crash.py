"""Named points at which a test can kill the process: ``RUNNER_CRASH_AT=point[:model]``.

A kill is real (SIGKILL to the process group's leader and the JVM): nothing is cleaned up.
"""

from __future__ import annotations

import os
import signal

#: In the order in which a run passes them.
RUN_POINTS = (
    "after_staging",
    "between_manifest_and_commit",
    "after_branch_creation",
    "after_merge",
    "after_checks",
    "after_quarantine_commit",
    "after_fast_forward",
    "while_recording",
    "after_ops_commit",
)

#: Those of rollback and maintenance.
KEEP_POINTS = ("between_rollbacks", "after_retention", "after_compaction", "after_expiry")

#: That of the publication of a branch.
BRANCH_POINTS = ("between_publications",)

CRASH_POINTS = RUN_POINTS + KEEP_POINTS + BRANCH_POINTS


def crash_point(name: str, model: str) -> None:
    """Die here when the environment says so."""
    assert name in CRASH_POINTS
    if os.environ.get("RUNNER_CRASH_AT") in (name, f"{name}:{model}"):
        os.killpg(os.getpgid(0), signal.SIGKILL)

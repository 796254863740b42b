"""`atelier audit ...`: which model fits which asset, measured, judged, written as a policy, watched.

Exit status: 0 when all is well, 1 when something was found, 2 for a wrong command line.
"""

from serve.cli.lazy import LazyGroup

audit = LazyGroup(
    "audit",
    help="Measure which model fits which asset, and write the policy from it.",
    places={
        "accept": ("serve.cli.audit_compare", "accept_command"),
        "compare": ("serve.cli.audit_compare", "compare_command"),
        "recommend": ("serve.cli.audit_recommend", "recommend_command"),
        "report": ("serve.cli.audit_report", "report_command"),
        "review": ("serve.cli.audit_review", "review_command"),
        "watch": ("serve.cli.audit_watch", "watch_command"),
        "run": ("serve.cli.audit_measure", "run_command"),
    },
)

"""`atelier audit ...`: which model fits which asset, measured, judged, written as a policy, watched.

Exit status: 0 when all is well, 1 when something was found, 2 for a wrong command line.
"""

from serve.cli.lazy import LazyGroup

audit = LazyGroup(
    "audit",
    help="Measure which model fits which asset, and write the policy from it.",
    places={},
)

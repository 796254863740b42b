"""Every criterion by its name: those that ship, and those of other packages (entry points of the group
`atelier.audit_criteria`, each a Criterion)."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from audits.criteria import colour, consistency, delivery, edges, legibility
from audits.criteria.subject import Criterion

GROUP = "atelier.audit_criteria"
_SHIPPED = (legibility, consistency, colour, edges, delivery)


class CriterionError(ValueError):
    """A criterion that nobody has, or that cannot be loaded."""


def criteria() -> Mapping[str, Criterion]:
    """Raises CriterionError for an entry point that is no Criterion, or that takes a name already taken."""
    found = {each.name: each for module in _SHIPPED for each in module.CRITERIA}
    for point in entry_points(group=GROUP):
        where = f"entry point {point.name} of {GROUP}"
        try:
            criterion = point.load()
        except (ImportError, AttributeError) as error:
            raise CriterionError(f"{where}: {error}") from None
        if not isinstance(criterion, Criterion):
            raise CriterionError(f"{where}: not an audits.criteria.subject.Criterion")
        if criterion.name in found:
            raise CriterionError(f"{where}: there is a criterion {criterion.name} already")
        found[criterion.name] = criterion
    return found

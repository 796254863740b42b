"""What an accepted asset costs: the machine's time for it, and people's time to mend what it got wrong.

`usd = image_usd + fix_ratio × fix_minutes / 60 × staff_usd_per_hour`. Every asset is accepted in the end;
some after a fix. Knows nothing of how rates and costs were measured.
"""

from dataclasses import dataclass

from routing.feedback import Interval


@dataclass(frozen=True, slots=True)
class AssetCost:
    """`fix_ratio` is the share of pictures that need a fix, with its interval in `fix_interval`."""

    image_usd: float
    fix_ratio: float
    fix_interval: Interval
    fix_minutes: float

    def usd(self, staff_usd_per_hour: float) -> float:
        return self._at(self.fix_ratio, staff_usd_per_hour)

    def interval_usd(self, staff_usd_per_hour: float) -> Interval:
        """From the interval of the fix rate alone."""
        low, high = self.fix_interval.low, self.fix_interval.high
        return Interval(self._at(low, staff_usd_per_hour), self._at(high, staff_usd_per_hour))

    def _at(self, fix_ratio: float, staff_usd_per_hour: float) -> float:
        return self.image_usd + fix_ratio * self.fix_minutes / 60 * staff_usd_per_hour

    @property
    def hours_per_asset(self) -> float:
        return self.fix_ratio * self.fix_minutes / 60


def break_even_usd_per_hour(one: AssetCost, other: AssetCost) -> float | None:
    """The staff rate at which both cost the same; None where one is as cheap or cheaper at every rate."""
    hours = other.hours_per_asset - one.hours_per_asset
    usd = one.image_usd - other.image_usd
    return usd / hours if hours * usd > 0 else None

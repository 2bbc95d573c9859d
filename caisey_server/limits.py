"""How much at once: token buckets, with the clock outside."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Takes `rate` a second for good and `burst` at once. Times are seconds of any clock that only goes forward."""

    rate: float
    burst: float
    level: float = 0.0
    at: float = 0.0

    def take(self, amount: float, now: float) -> float:
        """Takes, and tells how many seconds to wait before going on."""
        self.level = max(0.0, self.level - (now - self.at) * self.rate) + amount
        self.at = now
        return max(0.0, (self.level - self.burst) / self.rate)

    def refuses(self, now: float) -> bool:
        """Whether it has run over; takes one if it has not."""
        if max(0.0, self.level - (now - self.at) * self.rate) + 1 > self.burst:
            return True
        self.take(1, now)
        return False

    def give_back(self) -> None:
        """One that was taken does not count after all."""
        self.level = max(0.0, self.level - 1)


class Addresses:
    """A bucket an address, for those who have not proved who they are; the longest unseen are forgotten first."""

    def __init__(self, rate: float, burst: float, *, most: int = 10_000) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, address: str) -> Bucket:
        """The bucket of an address."""
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = Bucket(self._rate, self._burst)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(address)
        return bucket

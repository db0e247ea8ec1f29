"""A limit of bytes a second that counts the last moment only: a pause earns nothing that could be spent at once."""

from __future__ import annotations

from dataclasses import dataclass

_MOMENT = 0.25  # second


@dataclass(slots=True)
class Pace:
    """Keeps to ``rate`` bytes a second, 0 for as fast as it goes. ``paid`` is when what came so far was paid for, None
    before anything came.
    """

    rate: int
    paid: float | None = None

    def owed(self, size: int, now: float) -> float:
        """Take in that ``size`` bytes have come by ``now``; give the seconds to wait before more may come."""
        if not self.rate:
            return 0.0
        self.paid = max(now if self.paid is None else self.paid, now - _MOMENT) + size / self.rate
        return max(0.0, self.paid - now)

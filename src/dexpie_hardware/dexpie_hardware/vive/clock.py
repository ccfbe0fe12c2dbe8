"""The tracker's clock in terms of the host's: when a sample was measured, not when it was read. Pure."""

from typing import Final

# The clocks of tracker and host run apart by less than this; so fast a slower path is taken for normal.
DRIFT: Final = 2e-4
# No line is slower than this: what seems to be has another clock.
LONGEST_DELAY_S: Final = 1.0


class DeviceClock:
    """Maps device seconds to host seconds by the quickest delivery seen.

    A sample is never older than its quickest way here, so the least difference of arrival and device time
    is the offset of the clocks. What comes slower is late, and shows as such. While the device's clock and
    the arrivals go on, so do the results.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._arrival_s = 0.0
        self._device_s = float("-inf")

    def host_s(self, device_s: float, arrival_s: float) -> float:
        """Host time of a sample, s; at most its arrival."""
        offset_s = arrival_s - device_s
        if self._offset_s is not None:
            offset_s = min(offset_s, self._offset_s + DRIFT * (arrival_s - self._arrival_s))
        self._offset_s, self._arrival_s, self._device_s = offset_s, arrival_s, device_s
        return min(device_s + offset_s, arrival_s)

    def is_another(self, device_s: float, arrival_s: float) -> bool:
        """Whether the first sample after a silence is of a clock that has started again."""
        if self._offset_s is None or device_s == self._device_s:
            return False
        late_s = arrival_s - device_s - self._offset_s
        return device_s < self._device_s or late_s > LONGEST_DELAY_S

    def reset(self) -> None:
        """Forget the offset: the device has another clock now."""
        self._offset_s = None

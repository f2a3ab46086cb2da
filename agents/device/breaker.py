"""Devices that did not answer: left alone for a while, so that they take nobody else's time.

A START to a device that hangs holds a slot of the window for the whole attempt. Were each of its jobs
tried, a few hundred of them would fill the window, and one full window stops the whole worker. So
after a vain attempt the device's jobs are parked without trying, until its back-off is over.
tests/integration/test_named_cases.py: one dead device, thousands of jobs, the others as before.
"""

from collections.abc import Callable

from streams.openwork import back_off_ms


class DeviceBreaker:
    """Knows which devices are left alone, and until when. In memory: a restart tries anew."""

    def __init__(self, monotonic: Callable[[], float], first_s: float, most_s: float) -> None:
        self._monotonic = monotonic
        self._first_s = first_s
        self._most_s = most_s
        self._failed: dict[str, tuple[int, float]] = {}

    def open(self, device_id: str) -> bool:
        """Tell whether a device is left alone now."""
        _, until = self._failed.get(device_id, (0, 0.0))
        return self._monotonic() < until

    def failed(self, device_id: str) -> None:
        """Note that a device did not answer."""
        times, _ = self._failed.get(device_id, (0, 0.0))
        wait_s = back_off_ms(times, self._first_s, self._most_s) / 1000
        self._failed[device_id] = (times + 1, self._monotonic() + wait_s)

    def answered(self, device_id: str) -> None:
        """Note that a device answered, whatever it said."""
        self._failed.pop(device_id, None)

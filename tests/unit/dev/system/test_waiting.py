"""A wait looks at once, and once more when its time is up."""

import time

from dev.system.waiting import within


def test_a_wait_of_no_time_looks_once_and_does_not_sleep():
    assert len(list(within(0, every=3600))) == 1


def test_the_last_look_is_when_the_time_is_up():
    began = time.monotonic()
    looks = [time.monotonic() - began for _ in within(0.1, every=0.03)]
    assert looks[-1] >= 0.1

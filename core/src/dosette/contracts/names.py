"""Names on Redis. A device's user may reach its own four keys and nothing else."""

DELIVERIES_QUEUE = "deliveries"
ALIVE_KEY = "dosette:alive"
"""Written by the scheduler that leads, as long as it lives."""
FRAME_LIVES_S = 300
"""A picture fades when its device does not say it again."""


def plan_key(device_id: str) -> str:
    """The signed plan: written by the scheduler, read by the device."""
    return f"dosette:plan:{device_id}"


def hint_key(device_id: str) -> str:
    """A capped stream that says "look again": written by the scheduler, read by the device."""
    return f"dosette:hint:{device_id}"


def press_key(device_id: str) -> str:
    """A stream of signed journal entries: written by the device, read and emptied by the scheduler."""
    return f"dosette:press:{device_id}"


def frame_key(device_id: str) -> str:
    """The PNG of what the panel shows right now: written by the device, read by the api."""
    return f"dosette:frame:{device_id}"


def redis_user(device_id: str) -> str:
    return f"dosette-device-{device_id}"

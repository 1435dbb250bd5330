"""The panel channel: a panel reminds by its own plan, so telling it is making sure that it lives and draws."""

from redis import Redis

from dosette.bus import Bus, BusDown
from dosette_scheduler.channels import ChannelFailed, Message, RemindsItself


class PanelChannel:
    """An address is a device's id. A panel's picture fades from Redis when it gives no sign of life."""

    slots = 100
    threads = 1

    def __init__(self, redis: Redis) -> None:
        self._bus = Bus(redis)

    def send(self, address: str, message: Message) -> None:
        try:
            alive = self._bus.shows_a_frame(address)
        except BusDown as error:
            raise RemindsItself(f"Redis is out of reach, the panel goes by the plan that it has: {error}") from None
        if not alive:
            raise ChannelFailed("the panel gives no sign of life: is it powered, is its network up?")

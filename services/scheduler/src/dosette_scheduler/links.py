"""Links for messages: take, skip and claim, for whoever was told."""

from dataclasses import dataclass

from dosette.actions.reminders import ClaimedDelivery
from dosette.contracts.link import ACTIONS, Link, link_token
from dosette.domain.reminders import PENDING
from dosette_scheduler.channels import Action

LABELS = {"take": "Taken", "skip": "Skip", "claim": "I've got it"}


@dataclass(frozen=True)
class Links:
    """`public_url` is the address under which members reach the pages."""

    key: str
    public_url: str

    def __call__(self, delivery: ClaimedDelivery) -> tuple[Action, ...]:
        """None for what can't be answered: alarms, and doses that were missed. They end with the last dose's window."""
        ends = [item.closes_at for item in delivery.items if item.status == PENDING and item.closes_at]
        if not ends:
            return ()
        return tuple(Action(name, LABELS[name], self._url(Link(delivery.id, name, max(ends)))) for name in ACTIONS)

    def _url(self, link: Link) -> str:
        return f"{self.public_url.rstrip('/')}/link/{link_token(link, self.key)}"


def no_links(delivery: ClaimedDelivery) -> tuple[Action, ...]:
    """Where no key or no public address is set."""
    return ()

"""The outbox of one receiver: what it has not been told yet, how much it may be told, and when again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from practicus_assets.notifications.message import Group, Message, counted, digest, single
from practicus_assets.notifications.notice import Notice

_ALIKE = 3  # messages of one group in a window, before the others are counted
_GROUPS = 60  # that are kept apart; further ones are left out, and counted
_OLDEST = 24 * 3600.0  # seconds after which nobody is told any more
_FIRST_WAIT, _LONGEST_WAIT = 30.0, 3600.0  # seconds until a receiver that failed is tried again


@dataclass(frozen=True)
class Limit:
    """How much a receiver is told.

    Attributes:
        messages: the number of messages in a window at most.
        seconds: the length of the window.

    """

    messages: int
    seconds: float


@dataclass
class Outbox:
    """What one receiver has not been told yet.

    Few notices become a message each. Of more than three that are alike, and of more than the limit in all,
    one message tells how many they are; those that come after it wait for the end of the window.

    Attributes:
        groups: the notices that wait, by group.
        sent: when messages were sent in this window, and their groups; "" for a digest.
        failures: how often the receiver failed in a row.
        not_before: when it is tried again, in seconds since 1970.

    """

    groups: dict[str, Group] = field(default_factory=dict)
    sent: list[tuple[float, str]] = field(default_factory=list)
    failures: int = 0
    not_before: float = 0.0

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Outbox":
        """Return an outbox from what `to_json` returned."""
        groups = {
            name: Group(group["count"], _notice(group["first"]), _notice(group["last"]))
            for name, group in stored.get("groups", {}).items()
        }
        sent = [(float(moment), str(name)) for moment, name in stored.get("sent", [])]
        return cls(groups, sent, int(stored.get("failures", 0)), float(stored.get("not_before", 0)))

    def to_json(self) -> dict[str, Any]:
        """Return what is kept between ticks."""
        return asdict(self)

    def add(self, notices: Sequence[Notice]) -> int:
        """Take notices in; return how many found no place, for there are too many groups already."""
        lost = 0
        for notice in notices:
            group = self.groups.get(notice.group)
            if group is not None:
                group.count, group.last = group.count + 1, notice
            elif len(self.groups) < _GROUPS:
                self.groups[notice.group] = Group(1, notice, notice)
            else:
                lost += 1
        return lost

    def drop_old(self, now: float) -> int:
        """Forget what nobody could be told for a day; return how many notices that were."""
        old = {name: group for name, group in self.groups.items() if group.last.moment < now - _OLDEST}
        self.groups = {name: group for name, group in self.groups.items() if name not in old}
        return sum(group.count for group in old.values())

    def due(self, now: float, limit: Limit) -> list[Message]:
        """Return the messages to send now; none while the receiver is left alone after a failure."""
        self.sent = [(moment, name) for moment, name in self.sent if moment > now - limit.seconds]
        if now < self.not_before or any(not name for _, name in self.sent):
            return []
        messages: list[Message] = []
        for name, group in self.groups.items():
            room = _ALIKE - sum(1 for _, sent in self.sent if sent == name)
            if room > 0:
                messages += _of_group(group, room)
        room = limit.messages - len(self.sent)
        if len(messages) <= room:
            return messages
        return [digest(list(self.groups.values()))] if room > 0 else []

    def was_sent(self, message: Message, now: float) -> None:
        """Take a message's notices out. After one that counts, others alike wait for the window's end."""
        names = message.groups
        is_single = len(names) == 1
        for name in names:
            group = self.groups.get(name)
            if group is None:
                continue
            group.count -= message.count if is_single else group.count
            if group.count > 0:
                group.first = group.last
            else:
                del self.groups[name]
        times = _ALIKE if is_single and message.count > 1 else 1
        self.sent += [(now, names[0] if is_single else "")] * times
        self.failures, self.not_before = 0, 0.0

    def has_failed(self, now: float, unsent: Sequence[Message]) -> float:
        """Leave the receiver alone for a while, twice as long each time; return for how many seconds.

        Args:
            now: the time, in seconds since 1970.
            unsent: the messages that were not sent. The first may be one that is never taken, so that the
                others go before it the next time.

        """
        for name in unsent[0].groups if unsent else ():
            if (group := self.groups.pop(name, None)) is not None:
                self.groups[name] = group
        wait = min(_FIRST_WAIT * 2.0**self.failures, _LONGEST_WAIT)
        self.failures, self.not_before = min(self.failures + 1, 20), now + wait
        return wait


def _of_group(group: Group, room: int) -> list[Message]:
    if group.count == 1:
        return [single(group.last)]
    if group.count == 2 and room > 1:  # noqa: PLR2004 first and last are all of them
        return [single(group.first), single(group.last)]
    return [counted(group)]


def _notice(stored: dict[str, Any]) -> Notice:
    return Notice(**{**stored, "lines": tuple(stored["lines"]), "owners": tuple(stored["owners"])})

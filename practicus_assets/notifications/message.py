"""Messages: one or many notices as people read them, and as Slack and programs take them."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from practicus_assets.notifications.notice import Level, Notice, owners_of
from practicus_assets.wording import enumerated, in_short, number_of

_TITLE, _LINE, _LINES = 150, 700, 20  # characters, and lines, of a message at most
_SLACK = 2900  # characters of a section; Slack takes 3,000
_ICONS: dict[Level, str] = {"error": ":x:", "warning": ":warning:", "ok": ":white_check_mark:"}
_WORSE: list[Level] = ["error", "warning", "ok"]
_KINDS = {  # one of them, and several
    "failure": ("failure", "failures"),
    "check": ("run with failed checks", "runs with failed checks"),
    "late": ("late table", "late tables"),
    "stuck": ("sensor or schedule that does not work", "sensors or schedules that do not work"),
    "recovered": ("recovery", "recoveries"),
}


@dataclass(frozen=True)
class Message:
    """What a receiver is given.

    Attributes:
        id: the same for the same notices, so that a message that comes twice can be told.
        level: the worst of its notices.
        title: one line.
        lines: further ones.
        url: the page about it; empty for none.
        owners: the owners of the assets.
        count: how many notices it tells of.
        groups: the names of their groups.

    """

    id: str
    level: Level
    title: str
    lines: tuple[str, ...]
    url: str
    owners: tuple[str, ...]
    count: int
    groups: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole message as plain text."""
        return "\n".join([self.title, *self.lines])

    def slack(self) -> dict[str, Any]:
        """Return the message as Slack's incoming webhooks take it; others read `text` alone."""
        title, *lines = (_escaped(line) for line in (self.title, *self.lines) if line != self.url)
        body = in_short_lines([f"{_ICONS[self.level]} *{title}*", *lines], _SLACK)
        blocks: list[dict[str, Any]] = [{"type": "section", "text": {"type": "mrkdwn", "text": body}}]
        if self.url:
            link = f"<{_escaped(self.url)}|Open in Dagster>"
            blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": link}]})
        return {"text": _escaped(self.text), "blocks": blocks}

    def json(self) -> dict[str, Any]:
        """Return the message for programs."""
        return {
            "id": self.id,
            "level": self.level,
            "title": self.title,
            "text": self.text,
            "url": self.url,
            "owners": list(self.owners),
            "count": self.count,
        }


@dataclass
class Group:
    """Notices that are counted together, as far as they are kept.

    Attributes:
        count: how many they are.
        first, last: the first and the last of them.

    """

    count: int
    first: Notice
    last: Notice


def single(notice: Notice) -> Message:
    """Return the message of one notice."""
    owners = owners_of(notice.owners)
    return _message(notice.title, [*notice.lines, *([owners] if owners else [])], [Group(1, notice, notice)])


def counted(group: Group) -> Message:
    """Return the message of many notices of one group."""
    first, last = group.first, group.last
    between = _between(first.partitions, last.partitions)
    title = f"{last.subject}: {_number_of(group.count, last.kind)}"
    span = f"{_clock(first.moment)} to {_clock(last.moment)}"
    lines = [f"Partitions {between}, {span}." if between else f"{span}.", f"The last one: {last.title}"]
    owners = owners_of(last.owners)
    return _message(title, [*lines, *last.lines, *([owners] if owners else [])], [group])


def digest(groups: Sequence[Group]) -> Message:
    """Return one message of the notices of several groups."""
    counts: dict[str, int] = {}
    for group in groups:
        counts[group.last.kind] = counts.get(group.last.kind, 0) + group.count
    ordered = sorted(groups, key=lambda group: (_WORSE.index(group.last.level), -group.count))
    title = enumerated([_number_of(count, kind) for kind, count in counts.items()])
    lines = [_entry(group) for group in ordered[: _LINES - 1]]
    more = ordered[_LINES - 1 :]
    if more:
        lines.append(f"and {number_of(sum(group.count for group in more), 'notification')} more")
    return _message(title, lines, groups)


def in_short_lines(lines: Sequence[str], longest: int) -> str:
    """Return as many lines as fit into so many characters."""
    text = "\n".join(lines)
    return text if len(text) <= longest else f"{text[: longest - 2]} …"


def _message(title: str, lines: Sequence[str], groups: Sequence[Group]) -> Message:
    last = groups[0].last if len(groups) == 1 else None
    url = last.url if last is not None else ""
    shown = [in_short(line, _LINE) for line in lines if line][: _LINES + 2]
    names = [f"{group.last.id} {group.count}" for group in groups]
    return Message(
        id=hashlib.sha256("\n".join(names).encode()).hexdigest()[:24],
        level=min((group.last.level for group in groups), key=_WORSE.index),
        title=in_short(title, _TITLE),
        lines=(*shown, url) if url else tuple(shown),
        url=url,
        owners=tuple(dict.fromkeys(owner for group in groups for owner in group.last.owners)),
        count=sum(group.count for group in groups),
        groups=tuple(group.last.group for group in groups),
    )


def _entry(group: Group) -> str:
    last = group.last
    if group.count == 1:
        return f"• {last.title}" + (f": {last.reason}" if last.kind == "failure" else "")
    between = _between(group.first.partitions, last.partitions)
    where = f" [{between}]" if between else ""
    why = f", {last.reason}" if last.kind == "failure" else ""
    return f"• {last.subject}{where}: {_number_of(group.count, last.kind)}{why}"


def _number_of(count: int, kind: str) -> str:
    one, several = _KINDS[kind]
    return f"{count:,} {one if count == 1 else several}"


def _between(first: str, last: str) -> str:
    if not first or not last or first == last:
        return last or first
    begin, end = first.split(" … ", maxsplit=1)[0], last.rsplit(" … ", maxsplit=1)[-1]
    return f"{min(begin, end)} … {max(begin, end)}"


def _clock(moment: float) -> str:
    return f"{dt.datetime.fromtimestamp(moment, dt.UTC):%Y-%m-%d %H:%M UTC}"


def _escaped(text: str) -> str:
    """Return a text in which Slack sees no mention and no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

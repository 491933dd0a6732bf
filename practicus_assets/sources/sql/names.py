"""Names: tables and columns as authors write them, and as SQL quotes them."""

from practicus_assets.errors import DeclarationError


def quoted(name: str, quote: str) -> str:
    """Return a name as SQL takes it whatever characters it has.

    Args:
        name: the name, exactly as the database has it.
        quote: the character around names: `"`, and a backtick in MySQL.

    Raises:
        DeclarationError: if no database can have such a name.

    """
    if not name or "\0" in name:
        raise DeclarationError(f"{name!r} is no name in a database.")
    return quote + name.replace(quote, quote * 2) + quote


def parts_of(name: str, quote: str) -> tuple[str, ...]:
    """Return the parts of a dotted name, such as a schema and a table.

    Case counts, as between quotes in SQL. A part may be quoted, which one with a dot in it must be.

    Args:
        name: the name: `public.orders`, or `public."orders.2024"`.
        quote: the character around names.

    Raises:
        DeclarationError: if a part is empty, or a quote is not closed.

    """
    parts: list[str] = []
    rest = name
    while True:
        part, rest = _first(rest, name, quote)
        parts.append(part)
        if not part or "\0" in part or (rest and not rest.startswith(".")):
            raise _unreadable(name, quote)
        if not rest:
            return tuple(parts)
        rest = rest[1:]


def _first(text: str, name: str, quote: str) -> tuple[str, str]:
    """Return the first part of a dotted name without its quotes, and what follows it."""
    if not text.startswith(quote):
        part, dot, rest = text.partition(".")
        return part, dot + rest
    at = 1
    while True:
        at = text.find(quote, at)
        if at < 0:
            raise _unreadable(name, quote)
        if text[at : at + 2] != quote * 2:
            return text[1:at].replace(quote * 2, quote), text[at + 1 :]
        at += 2


def _unreadable(name: str, quote: str) -> DeclarationError:
    return DeclarationError(
        f"{name!r} is no name of a table.",
        f"Write schema.table, and quote a part with dots: {quote}a.b{quote}.",
    )

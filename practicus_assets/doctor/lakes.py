"""Lakes over a base: which lake each table is read in, and over which version of the base its rows lie."""

from collections.abc import Iterator

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, catalog
from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.doctor.finding import Finding, Section, failed, not_checked, ok
from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.layers.claims import Claims


def lakes(definitions: dg.Definitions) -> Iterator[Section]:
    """Yield a section if a lake of a code location lies over a base; other lakes are not looked at."""
    resources = (definitions.resources or {}).values()
    if any(isinstance(each, DeltaIOManager) and each.base_uri is not None for each in resources):
        yield Section("Lakes over a base", _tables(definitions))


def _tables(definitions: dg.Definitions) -> Iterator[Finding]:
    try:
        entries = [entry for entry in catalog(definitions).values() if entry.layered.base is not None]
    except PracticusAssetsError as error:
        yield failed("lake", error.problem, error.advice)
        return
    for base in sorted({entry.layered.base_uri for entry in entries}):
        yield ok("base", f"{base}, which is only read")
    for entry in entries:
        try:
            yield _found(entry)
        except PracticusAssetsError as error:
            yield failed(entry.name, error.problem, error.advice)


def _found(entry: TableEntry) -> Finding:
    own, base = entry.table.open_if_exists(), entry.layered.base_at(None)
    there = f"version {base.version} of the base" if base is not None else ""
    claims = Claims.of(own) if own is not None else None
    if own is None or claims is None or not claims.scopes:
        if base is None:
            return not_checked(entry.name, "neither the own root nor the base has it")
        return ok(entry.name, f"read in the base: version {base.version}")
    if claims.is_whole_table:
        found = f"read in the own root: version {own.version}"
    else:
        found = f"partitions that version {own.version} of the own root has are read there"
        found += f", the others in {there}" if base is not None else ""
    return ok(entry.name, f"{found}; its rows lie over {_pins(claims)}{_now(claims, base)}")


def _pins(claims: Claims) -> str:
    """Return over which versions of the base the own rows lie."""
    pins = {claim.base.version for claim in claims.newest_first if claim.base is not None}
    versions = sorted(version for version in pins if version is not None)
    if not versions:
        return "none of the base"
    ends = f"version {versions[0]}"
    ends += f" to {versions[-1]}" if len(versions) > 1 else ""
    return f"{ends} of the base's table"


def _now(claims: Claims, base: TableVersion | None) -> str:
    """Return the base's version, where it is another than the newest that own rows lie over."""
    newest = next((claim.base.version for claim in claims.newest_first if claim.base is not None), None)
    if base is None or newest is None or newest == base.version:
        return ""
    return f", which has version {base.version} now"

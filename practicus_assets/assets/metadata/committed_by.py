"""Who committed a table last."""

import logging

import dagster as dg

from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.table import Table


def warn_of_other_asset(log: logging.Logger, key: dg.AssetKey, table: Table, version: int | None) -> None:
    """Warn where another asset has committed the table of one last, unless the table lies at its own key.

    Args:
        log: the step's log.
        key: the key of the asset that is going to commit.
        table: its table.
        version: the table's newest version; None if there is no table.

    """
    if version is None or table.name == "/".join(key.path):
        return
    newest = next(entries(table, version, version), None)
    record = newest.record if newest is not None else None
    if record is not None and record.asset_key not in {"", key.to_user_string()}:
        log.warning(
            "%s: version %d of the table was committed by the asset %s. Unless that one is gone, give each "
            "asset a place of its own: each replaces the other's rows.",
            table.name,
            version,
            record.asset_key,
        )

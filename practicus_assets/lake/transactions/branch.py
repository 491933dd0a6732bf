"""Branches: a table of an own root begins with the columns of its base's, and with its rows where needed."""

import time
from itertools import islice

from deltalake import CommitProperties
from deltalake import Transaction as AppTransaction

from practicus_assets.errors import CommitConflict, StoreFailed, naming
from practicus_assets.lake.delta.conditional_puts import PROOF, prove
from practicus_assets.lake.delta.failures import CommitUnsettled
from practicus_assets.lake.delta.log import KEEPS_LOG
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.record import InputVersion, VersionElsewhere
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.layers.claims import Claims
from practicus_assets.lake.layers.layered import layers_of
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.pauses import pauses
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.table_properties import APPEND_ONLY
from practicus_assets.lake.transactions.transaction import Transaction

BRANCH = "practicus_assets_branch"  # the key by which an own table's first commit says what it lies over
_TRIES = 5


def begin_over(
    own: Table, base: TableVersion | None, scope: Scope, options: WriteOptions, provenance: Provenance
) -> None:
    """Make a table of an own root ready for a transaction, which then is as one in the base would be.

    The own table is made with the columns, the partition columns and the properties of the base's. Where rows
    are appended or merged, it gets the base's rows of the scope first. Partitions that it has already stay.

    Args:
        own: the table in the own root; it need not exist.
        base: the table in the base, at its pinned version; None if it has none.
        scope: what the transaction is going to write.
        options: how.
        provenance: who is going to do it; its `base` is that version.

    Raises:
        DeclarationError, UnsupportedTable: as the transaction would raise for the base's table.
        CommitConflict: if others write the same scope of the own table.
        StoreFailed: if a store fails.

    """
    if base is None:
        return
    with naming(own.name, str(scope)):
        if own.open_if_exists() is None:
            refuse_unsupported(base, options.partition_by, takes_rows_away=options.mode != "append")
            _create(own, base)
        if options.mode != "replace":
            _copy(own, base, Scope() if options.mode == "history" else scope, provenance)


def elsewhere(root_uri: str, at: TableVersion | None) -> VersionElsewhere:
    """Return how records name a version of a table in another lake; of no table, that there was none."""
    return VersionElsewhere(root_uri, at.version, at.id) if at is not None else VersionElsewhere(root_uri)


def _create(own: Table, base: TableVersion) -> None:
    """Create the own table without rows; somebody else's, made at the same moment, is as good."""
    prove(own, None)
    kept = {name: value for name, value in base.configuration.items() if name != APPEND_ONLY}
    proof = [AppTransaction(PROOF, 1)] if own.local_path is None else []
    properties = CommitProperties(
        custom_metadata={BRANCH: f"version {base.version} of {base.table.uri}"},
        max_commit_retries=0,
        app_transactions=proof,
    )
    for pause in islice(pauses(), _TRIES):
        try:
            own.create([], base.schema, base.partition_by, {**kept, **KEEPS_LOG}, properties)
        except CommitUnsettled as error:
            if own.open_if_exists() is not None:
                return
            answer: StoreFailed = error.settled()
            time.sleep(pause)
        else:
            return
    raise answer


def _copy(own: Table, base: TableVersion, scope: Scope, provenance: Provenance) -> None:
    """Bring the base's rows of a scope to the own table, where it has not all of them."""
    for pause in islice(pauses(), _TRIES):
        current = own.open()
        missing = _missing(Claims.of(current), scope, current)
        if missing is None:
            return
        copying = Provenance(
            run_id=provenance.run_id,
            step=f"{provenance.step} (copy of the base)",
            attempt=provenance.attempt,
            asset_key=provenance.asset_key,
            inputs=[_read(base, missing, provenance)],
            base=provenance.base,
        )
        options = WriteOptions(partition_by=current.partition_by)
        transaction = Transaction(own, missing, options, provenance=copying)
        if transaction.landed is None:
            rows, _ = layers_of(own.open(transaction.began), base, missing)
            try:
                transaction.write(rows.scan())
            except CommitConflict as error:  # another run brings the same rows
                conflict = error
                time.sleep(pause)
    raise conflict


def _read(base: TableVersion, scope: Scope, provenance: Provenance) -> InputVersion:
    root_uri = provenance.base.root_uri if provenance.base is not None else ""
    recorded = scope.on(base.schema).recorded
    return InputVersion(base.table.name, base.version, base.id, recorded, root_uri)


def _missing(claims: Claims, scope: Scope, own: TableVersion) -> Scope | None:
    """Return the partitions of a scope that the own table has not as a whole; None if there are none."""
    if scope.is_whole_table:
        return None if claims.is_whole_table else scope
    bounds = scope.on(own.schema)
    numbers = [n for n in range(len(bounds.parts)) if not claims.cover(bounds.one(n))]
    if not numbers:
        return None
    parts = tuple(scope.parts[n] for n in numbers)
    return Scope(scope.columns, parts, tuple(scope.keys[n] for n in numbers))

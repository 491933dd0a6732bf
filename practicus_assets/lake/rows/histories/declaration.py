"""Declarations: which columns tell what a history's rows are about, and from when on they are valid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from practicus_assets.errors import DeclarationError, SchemaMismatch, did_you_mean
from practicus_assets.wording import enumerated, names_of, readable

VALID_FROM, VALID_TO = VALID_COLUMNS = ("valid_from", "valid_to")
"""The columns that a history adds: the interval in which a row is valid, its end excluded."""


@dataclass(frozen=True)
class HistoryDeclaration:
    """How a history is kept.

    Attributes:
        keys: the columns that identify what rows are about.
        sequence_by: the column that says from when on a row is valid.
        apply_as_deletes: the boolean column that is true in rows by which a key ends; None if none does.
        is_of_lists: whether the rows of one time list all keys that there are, so that others end there.

    """

    keys: tuple[str, ...]
    sequence_by: str
    apply_as_deletes: str | None = None
    is_of_lists: bool = False

    @classmethod
    def of(
        cls, keys: Sequence[str], sequence_by: Any, apply_as_deletes: Any, *, is_of_lists: bool = False
    ) -> "HistoryDeclaration":
        """Return what an author's options say.

        Raises:
            DeclarationError: if one is missing, no name of a column, or of the same column as another.

        """
        if not keys or not sequence_by:
            raise DeclarationError(
                'mode="history" needs history_keys, the columns that identify what rows are about, and '
                "sequence_by, the column that says from when on a row is valid.",
                'Write history_keys=["customer_id"], sequence_by="updated_at"; in metadata '
                '"delta/history_keys" and "delta/sequence_by".',
            )
        for name, column in (("sequence_by", sequence_by), ("apply_as_deletes", apply_as_deletes)):
            if column is not None and (not isinstance(column, str) or not column):
                raise DeclarationError(
                    f"{name} is {readable(column)}.", f'Name one column by a text, e.g. {name}="c".'
                )
        if is_of_lists and apply_as_deletes is not None:
            raise DeclarationError(
                "delete_unmatched=True ends the keys that a list lacks, and apply_as_deletes names "
                f"{apply_as_deletes!r}, by which a row ends one.",
                "Drop one of them.",
            )
        declaration = cls(tuple(keys), sequence_by, apply_as_deletes, is_of_lists)
        doubled = sorted({c for c in declaration.columns if declaration.columns.count(c) > 1})
        if doubled:
            raise DeclarationError(
                f"history_keys, sequence_by and apply_as_deletes name {doubled[0]!r} twice.",
                "Name another column for each.",
            )
        return declaration

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the output that are named."""
        deletes = (self.apply_as_deletes,) if self.apply_as_deletes is not None else ()
        return (*self.keys, self.sequence_by, *deletes)

    def refuse_taken(self, partition_by: Sequence[str]) -> None:
        """Raise DeclarationError if an option names a column that the history adds."""
        for column in (*self.columns, *partition_by):
            if column in VALID_COLUMNS:
                raise DeclarationError(
                    f"the options name {column!r}, a column that a history adds to the table.",
                    "Give the column of the output another name.",
                )

    def refuse_output(self, output: pa.Schema) -> None:
        """Raise SchemaMismatch for an output whose rows could be no history's."""
        lost = [name for name in self.columns if name not in output.names]
        if lost:
            raise SchemaMismatch(
                f"the output lacks the {names_of('column', lost)}, by which a history is kept; it has "
                f"{output.names}.",
                did_you_mean(lost[0], output.names, "Return what is missing."),
            )
        added = [name for name in VALID_COLUMNS if name in output.names]
        if added:
            raise SchemaMismatch(
                f"the output has the {names_of('column', added)}, which a history computes.",
                f"Leave them out, or rename them: {VALID_FROM} is what {self.sequence_by!r} says.",
            )

    def refuse_types(self, schema: pa.Schema) -> None:
        """Raise SchemaMismatch for columns of types by which no history can be kept.

        Args:
            schema: the table's columns after the commit.

        """
        time = schema.field(self.sequence_by).type
        if not _has_order(time):
            raise SchemaMismatch(
                f"sequence_by is the column {self.sequence_by!r} of type {time}, whose values have no exact "
                "order.",
                "Use a time, a date, a decimal, an integer or a text.",
            )
        if self.apply_as_deletes is not None:
            kind = schema.field(self.apply_as_deletes).type
            if not pa.types.is_boolean(kind):
                raise SchemaMismatch(
                    f"apply_as_deletes is the column {self.apply_as_deletes!r} of type {kind}.",
                    "Return it as booleans, which are true in the rows by which a key ends.",
                )
        for name in VALID_COLUMNS:
            field = schema.field(name)
            if field.type != time or not field.nullable:
                required = "" if field.nullable else ", without nulls"
                raise SchemaMismatch(
                    f"column {name!r} is of type {field.type}{required}, in the table or in the contract, "
                    f"and sequence_by is the column {self.sequence_by!r} of type {time}.",
                    f"Declare {name} as {time}, or leave it out of the contract.",
                )


def refuse_without_mode(
    mode: str, keys: Sequence[str], sequence_by: str | None, apply_as_deletes: str | None
) -> None:
    """Raise DeclarationError for options of a history in another mode."""
    options = {"history_keys": keys, "sequence_by": sequence_by, "apply_as_deletes": apply_as_deletes}
    given = [name for name, value in options.items() if value]
    if given:
        verb = "needs" if len(given) == 1 else "need"
        raise DeclarationError(
            f'{enumerated(given)} {verb} mode="history", and it is "{mode}".',
            'Write mode="history", or drop them.',
        )


def _has_order(kind: pa.DataType) -> bool:
    is_number = pa.types.is_integer(kind) or pa.types.is_decimal(kind)
    return bool(
        is_number or pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_string(kind)
    )

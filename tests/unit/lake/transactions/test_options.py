"""How a transaction writes: one spelling of each option, and what contradicts another."""

from typing import Any, get_args

import pytest

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.transactions.options import MergeKind, Mode, OnSchemaChange, WriteOptions

BY_ID = {"mode": "merge", "merge_keys": ["id"]}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "merge"}, 'mode="merge" needs merge_keys'),
        ({"mode": "merge", "merge_keys": "id"}, r"merge_keys is the text 'id'.*merge_keys=\['id'\]"),
        ({"mode": "merge", "merge_keys": ["id", "id"]}, "Name each column once"),
        ({"merge_keys": ["id"]}, 'need mode="merge", and it is .replace.'),
        ({"delete_unmatched": True}, 'need mode="merge"'),
        ({"merge_kind": "insert"}, 'merge_kind="insert" needs mode="merge", and it is "replace"'),
        ({**BY_ID, "merge_kind": "insrt"}, "merge_kind 'insrt' is unknown. Did you mean insert"),
        ({**BY_ID, "merge_kind": "custom"}, "Compute the rows in the function"),
        (
            {**BY_ID, "merge_kind": "replace_and_delete_unmatched"},
            'merge_kind="update" with delete_unmatched=True',
        ),
        ({**BY_ID, "merge_kind": "insert", "delete_unmatched": True}, "keeps all old rows"),
        ({"mode": "nightly"}, "mode 'nightly' is unknown.*replace.*overwrite.*append.*merge"),
        ({"on_schema_change": "ignore"}, "on_schema_change 'ignore' is unknown"),
        ({"mode": "append", "on_schema_change": "replace"}, "would change rows that mode='append' keeps"),
        ({"mode": "append", "on_schema_change": "overwrite"}, "would change rows that mode='append' keeps"),
        ({"partition_by": "day"}, r"partition_by=\['day'\]"),
        ({"partition_by": ["day", "day"]}, "Name each column once"),
        ({"partition_by": [1]}, "Name each column once"),
        ({"partition_by": [""]}, "Name each column once"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(DeclarationError, match=text):
        WriteOptions(**options)


def test_the_words_of_delta_rs_mean_ours() -> None:
    assert WriteOptions(mode="overwrite") == WriteOptions(mode="replace")
    assert WriteOptions(on_schema_change="merge") == WriteOptions(on_schema_change="add")
    assert WriteOptions(on_schema_change="overwrite") == WriteOptions(on_schema_change="replace")


def test_the_words_of_delta_rs_are_known_to_type_checkers() -> None:
    assert set(get_args(MergeKind)) == {"upsert", "insert", "update", "deduplicate_insert", "update_only"}
    assert set(get_args(Mode)) == {"replace", "append", "merge", "history", "overwrite"}
    assert set(get_args(OnSchemaChange)) == {"add", "refuse", "replace", "merge", "overwrite"}

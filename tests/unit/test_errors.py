import importlib
import inspect
import pickle
import pkgutil
import traceback

import pytest

import practicus_assets
from practicus_assets import errors

EVERY_ERROR = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.PracticusAssetsError)
}

NEVER_LEAVES_THE_LAKE = {"CommitUnsettled"}  # how a commit tells itself to read the log again


def test_every_error_of_the_package_is_in_this_module_and_public() -> None:
    for module in pkgutil.walk_packages(practicus_assets.__path__, "practicus_assets."):
        importlib.import_module(module.name)
    kinds = [errors.PracticusAssetsError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    elsewhere = {kind.__name__ for kind in kinds if kind.__module__ != errors.__name__}
    assert elsewhere == NEVER_LEAVES_THE_LAKE
    assert {kind.__name__ for kind in kinds} - elsewhere == set(EVERY_ERROR) <= set(practicus_assets.__all__)


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        words = line.lstrip(" │├└─").split()
        if words and words[0] in EVERY_ERROR and line.startswith("    "):
            depth = (len(line) - len(line.lstrip(" │├└─"))) // 4 - 1
            above[depth:] = [words[0]]
            drawn[words[0]] = above[depth - 1] if depth else "Exception"
    assert drawn == {name: kind.__base__.__name__ for name, kind in EVERY_ERROR.items()}


@pytest.mark.parametrize("name", EVERY_ERROR)
def test_an_error_survives_being_sent_to_another_process(name: str) -> None:
    with pytest.raises(EVERY_ERROR[name]) as raised, errors.naming("orders", "a", nothing_written=True):
        raise EVERY_ERROR[name]("3 rows are late.", "Wait.")
    there = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 our own bytes
    assert str(there) == str(raised.value) == "orders [a]: 3 rows are late. Wait. Nothing was written."


@pytest.mark.parametrize(
    ("name", "names", "question"),
    [
        ("memry", ["cpu", "memory"], "Did you mean memory?"),
        ("node_selector", ["nodeName", "nodeSelector"], "Did you mean nodeSelector?"),
        ("MODE", ["mode"], "Did you mean mode?"),
        ("2026-01-99", ["2026-01-01", "2026-01-09", "2026-10-19"], "Did you mean 2026-01-09?"),
        ("2026-01-99|a", ["2026-01-01|a", "2026-10-19|a"], "Did you mean 2026-01-01|a?"),
        ("2023-01-01", ["2024-01-01", "2024-10-01"], "Did you mean 2024-01-01?"),
        (7, ["mode"], "There is mode."),
        ("x", [], "There is mode."),
    ],
)
def test_a_name_is_answered_with_the_nearest_that_exists(
    name: object, names: list[str], question: str
) -> None:
    assert errors.did_you_mean(name, names, "There is mode.") == question


def test_several_near_names_are_offered_where_they_are_wanted() -> None:
    question = errors.did_you_mean("table1", ["table1_new", "table2_new", "orders"], most=2)
    assert question == "Did you mean table1_new or table2_new?"


def test_an_error_that_leaves_a_run_ends_with_its_page_once_and_keeps_its_text() -> None:
    class Mine(errors.TableNotFound):
        """One of an author."""

    with pytest.raises(Mine) as raised, errors.naming_page(), errors.naming_page():
        raise Mine("it is gone.")
    assert str(raised.value) == "it is gone."
    shown = "".join(traceback.format_exception_only(raised.value))
    assert shown.endswith("it is gone.\nSee docs/errors.md#tablenotfound\n")

"""The pages of the site that are made from docstrings, and what the build refuses."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import dagster as dg
import pandas as pd
import pytest

import practicus_assets
from practicus_assets import Column, Contract, errors, table_asset
from practicus_assets.cli import main
from tests.integration.bench import Bench
from tests.integration.bench import errors as bench_errors

SITE = Path(__file__).parents[2] / "docs" / "site"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SITE))
    return importlib.import_module("build")


def test_every_public_name_error_and_command_is_on_a_page_of_the_reference(site: ModuleType) -> None:
    pages = {name: page() for name, page in site.GENERATED.items()}
    kinds = {name for name in practicus_assets.__all__ if hasattr(errors, name)}
    for name in practicus_assets.__all__:
        page, mark = ("docs/errors.md", "##") if name in kinds else ("docs/api.md", "###")
        assert f"\n{mark} {name}\n" in pages[page]
    for name in kinds:
        first = (getattr(errors, name).__doc__ or "").splitlines()[0]
        assert first in pages["docs/errors.md"].replace("\\", "")
    assert all(f"\n## {name}\n" in pages["docs/commands.md"] for name in main.commands)


def test_each_error_names_a_place_in_a_page_that_the_repository_and_the_site_have(site: ModuleType) -> None:
    page = (site.REPOSITORY / site.COMMITTED).read_text(encoding="utf-8")
    assert page == site.GENERATED[site.COMMITTED](), "Write it: python docs/site/build.py errors"
    places = {
        f"{site.COMMITTED}#{heading.lower()}" for heading in re.findall(r"^## (\w+)$", page, re.MULTILINE)
    }
    kinds = [value for name, value in vars(errors).items() if isinstance(value, type) and name[0].isupper()]
    named = {kind("x").page for kind in kinds if issubclass(kind, errors.PracticusAssetsError)}
    assert named == places


def test_a_failed_step_shows_the_page_of_its_error_below_the_text(bench: Bench) -> None:
    @table_asset(contract=Contract(columns={"id": Column("int64", minimum=2)}))
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"id": [1]})

    @table_asset
    def totals(orders_of_nobody: pd.DataFrame) -> pd.DataFrame:
        return orders_of_nobody

    refused = bench_errors(bench.run([orders], fails=True))
    ends = refused.count("Nothing was written.\nSee docs/errors.md#auditfailed\n")
    assert ends == refused.count("See ") == refused.count("AuditFailed: ") > 0
    nobody = dg.AssetSpec("orders_of_nobody")
    missing = bench_errors(bench.run([nobody, totals], fails=True))
    assert missing.count("\nSee docs/errors.md#tablenotfound\n") == missing.count("TableNotFound: ") > 0


def test_a_page_that_is_not_in_the_navigation_is_named(site: ModuleType) -> None:
    written = [path for pattern in site.WRITTEN for path in site.REPOSITORY.glob(pattern)]
    assert list(site._unlisted(written)) == []
    forgotten = [*written[1:], site.REPOSITORY / "docs" / "new.md"]
    assert list(site._unlisted(forgotten)) == [
        "docs/new.md: add it to the navigation in docs/site/zensical.toml.",
        f"docs/site/zensical.toml: there is no {written[0].name}.",
    ]


def test_links_in_code_are_no_links_and_those_of_prose_are_found_once_without_anchors(
    site: ModuleType,
) -> None:
    text = (
        "[a](b.md#c) `[x](y.md)` [`d`](../e.py) [f](https://example.com/g.md) [h](#i)\n```\n[j](k.md)\n```\n"
    )
    assert list(site._targets(text)) == ["b.md", "../e.py"]


def test_each_picture_is_on_a_page_with_words_for_those_who_do_not_see_it_and_is_small(
    site: ModuleType,
) -> None:
    shown: dict[Path, str] = {}
    for page in (path for pattern in site.WRITTEN for path in site.REPOSITORY.glob(pattern)):
        for words, target in re.findall(r"!\[(.*?)\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            shown[(page.parent / target).resolve()] = words
    pictures = sorted((site.REPOSITORY / "docs" / "images").iterdir())
    assert sorted(shown) == pictures
    assert all(len(words) > 40 for words in shown.values())
    assert {
        picture.name: picture.stat().st_size for picture in pictures if picture.stat().st_size > 150_000
    } == {}

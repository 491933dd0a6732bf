"""PostgreSQL without a server: types by their modifiers, errors of the driver, and how libpq connects."""

from pathlib import Path

import pyarrow as pa
import pytest

from practicus_assets.errors import DeclarationError, SchemaMismatch
from practicus_assets.sources.postgresql.answer import answer
from practicus_assets.sources.postgresql.parameters import array_text
from practicus_assets.sources.postgresql.system import PostgreSQL
from practicus_assets.sources.postgresql.types import Native, reading

FAILED = 'connection to server at "db", port 5432 failed:'


def numeric(precision: int, scale: int) -> Native:
    return Native("numeric", "numeric", typmod=((precision << 16) | (scale & 0x7FF)) + 4)


@pytest.mark.parametrize(
    ("precision", "scale", "type_"),
    [
        (12, 2, pa.decimal128(12, 2)),
        (38, 38, pa.decimal128(38, 38)),
        (3, -2, pa.decimal128(5, 0)),
        (2, 4, pa.decimal128(4, 4)),
    ],
)
def test_the_digits_of_numeric_are_those_of_its_modifier(
    precision: int, scale: int, type_: pa.DataType
) -> None:
    assert reading("c", numeric(precision, scale), None).type_ == type_


WIDE = [numeric(39, 2), numeric(37, -2), numeric(10, 39), Native("numeric", "numeric")]


@pytest.mark.parametrize("native", WIDE)
def test_numeric_with_too_many_digits_or_none_is_refused_and_can_be_declared(native: Native) -> None:
    with pytest.raises(SchemaMismatch, match="columns="):
        reading("c", native, None)
    assert reading("c", native, pa.decimal128(38, 2)).type_ == pa.decimal128(38, 2)
    assert reading("c", native, pa.string()).expression('"c"') == '"c"::text'


@pytest.mark.parametrize(
    ("message", "text", "lost"),
    [
        (f"[libpq] Failed to connect: {FAILED} FATAL:  no entry\n", f"{FAILED} no entry", False),
        (f"[libpq] Failed to connect: {FAILED} Connection refused\n\tIs it?", f"{FAILED} Connection", True),
        ("[libpq] PQgetCopyData() failed: Broken pipe", "Broken pipe", True),
        ("[libpq] Execution error [PGRES_FATAL_ERROR]: ERROR:  a\nb\n", "a b", False),
        ("IO: Failed to prepare query: \nQuery was: select 1", "the connection was closed", True),
        ("FATAL:  sorry, too many clients already", "sorry, too many clients already", True),
        ('invalid percent-encoded token: "pa%ss"', "libpq cannot read the URL or the parameters", False),
    ],
)
def test_the_drivers_errors_are_told_in_one_line_without_its_own_words(
    message: str,
    text: str,
    lost: bool,  # noqa: FBT001
) -> None:
    found = answer(OSError(message))
    assert found.text.startswith(text)
    assert "\n" not in found.text
    assert found.lost is lost


def test_a_secret_in_an_error_is_not_shown() -> None:
    assert answer(OSError('no role "sesame-open"'), ["sesame-open", ""]).text == 'no role "***"'


def test_what_libpq_is_given_is_quoted_and_names_no_secret(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("it's \\ me\n")
    shop = PostgreSQL(
        host="db", database="a b", user="u", password=tmp_path / "password", parameters={"sslcert": "c"}
    )
    text, secrets = shop.conninfo()
    assert "host='db' port='5432' dbname='a b' user='u' password='it\\'s \\\\ me' sslcert='c'" in text
    assert secrets == ("it's \\ me",)
    assert repr(shop) == "PostgreSQL('postgresql://db:5432/a b')"
    assert shop.pool == "source/db_5432_a_b"


def test_a_url_keeps_its_own_parameters_and_gets_those_that_it_lacks() -> None:
    shop = PostgreSQL.from_url(
        "postgres://u:p%40ss@db/shop?application_name=mine&connect_timeout=99", pool="db"
    )
    text, secrets = shop.conninfo()
    assert text.startswith(
        "postgresql://u:p%40ss@db/shop?application_name=mine&connect_timeout=99&keepalives=1&"
    )
    assert text.count("application_name") == text.count("connect_timeout") == 1
    assert {"p%40ss", "p@ss"} <= set(secrets)
    assert shop.address == "postgresql://db/shop"
    assert shop.pool == "db"


@pytest.mark.parametrize(
    "login", ["u:secret?word", "u:secret?wo=rd", "u:sec/ret?word", "u:secret@word", "u:secret#word", "u"]
)
def test_no_part_of_a_login_is_shown_however_it_is_written(login: str) -> None:
    shop = PostgreSQL.from_url(f"postgresql://{login}@db:5433/shop?sslmode=disable")
    text, secrets = shop.conninfo()
    assert shop.address == "postgresql://db:5433/shop"
    assert shop.pool == "source/db_5433_shop"
    assert f"{login}@db:5433/shop?sslmode=disable&connect_timeout=10&" in text
    assert login in secrets


def test_a_password_among_the_parameters_of_a_url_is_not_taken_for_a_host() -> None:
    shop = PostgreSQL.from_url("postgresql:///shop?host=db&password=sec@ret")
    assert shop.address == "postgresql:///shop"
    assert {"sec@ret"} <= set(shop.conninfo()[1])


@pytest.mark.parametrize("setting", ["connect_timeout_s", "read_timeout_s", "connect_attempts"])
def test_limits_are_more_than_nothing(setting: str) -> None:
    with pytest.raises(DeclarationError, match=setting):
        PostgreSQL(**{setting: 0})


def test_a_misspelt_setting_is_answered_with_the_right_one() -> None:
    with pytest.raises(DeclarationError, match=r"Did you mean database\?"):
        PostgreSQL(databse="shop")  # type: ignore[call-arg] # misspelt on purpose


def test_an_array_of_texts_is_written_so_that_no_text_ends_it() -> None:
    assert array_text(['a"b', "c\\d", "{e,f}", ""]) == '{"a\\"b","c\\\\d","{e,f}",""}'

"""Settings: those of a transaction that reads, whatever the role and the database have as their own."""

# statements are as long as they are: a stream waits for its reader, and the snapshot for the longest stream
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmloption": "content",
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def settled(lock_timeout_s: float | None) -> str:
    """Return the query that gives the transaction its settings, and returns first of all the backend's pid.

    Settings that the server does not know are left out.

    Args:
        lock_timeout_s: how long to wait for whoever has a table locked; None for ever.

    """
    lock_timeout = f"{int(lock_timeout_s * 1000)}ms" if lock_timeout_s is not None else "0"
    wanted = ", ".join(
        f"('{name}', '{value}')" for name, value in {**_SETTINGS, "lock_timeout": lock_timeout}.items()
    )
    return (
        "SELECT pg_catalog.pg_backend_pid(), count(pg_catalog.set_config(has.name, wants.setting, true)) "
        f"FROM (VALUES {wanted}) AS wants (name, setting) "
        "JOIN pg_catalog.pg_settings AS has ON lower(has.name) = lower(wants.name)"
    )

"""Receivers of notifications: webhooks and e-mail on real servers, dead and slow ones, and no secrets."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from practicus_assets import DeclarationError, Email, Log, NotificationFailed, Webhook
from practicus_assets.notifications import outbox
from practicus_assets.notifications.message import single
from practicus_assets.notifications.notice import Notice
from practicus_assets.notifications.ticks import tick
from tests.integration.alerts import Alerts
from tests.servers.hook import Hook
from tests.servers.mailbox import Mailbox
from tests.servers.ports import free_port

PASSWORD = "hunter2-of-smtp"  # noqa: S105 nobody's
LOG = logging.getLogger("receivers")
NOTICE = Notice(
    id="failure|1",
    kind="failure",
    level="error",
    subject="orders",
    reason="ValueError",
    title="orders [2024-03-01] failed",
    lines=("ValueError: no <!channel> & no *orders*",),
    moment=1_709_280_000,
    partitions="2024-03-01",
    owners=("ann@example.com", "team:sales"),
    url="https://dagster.example.com/runs/1",
)
MESSAGE = single(NOTICE)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        yield server


@pytest.fixture
def dead() -> str:
    """Return the address of a port at which nothing listens."""
    return f"http://127.0.0.1:{free_port()}/hunter2"


def fail(instance: dg.DagsterInstance) -> None:
    run = dg.DagsterRun("nightly", status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)
    instance.report_run_failed(run)


# --- Webhooks -----------------------------------------------------------------------------------------------


def test_slack_gets_text_and_blocks_in_which_nothing_is_a_mention(hook: Hook) -> None:
    Webhook(hook.url).send(MESSAGE, LOG)
    [post] = hook.posts
    assert post == {
        "text": "orders [2024-03-01] failed\nValueError: no &lt;!channel&gt; &amp; no *orders*\n"
        "Owners: ann@example.com, team:sales\nhttps://dagster.example.com/runs/1",
        "blocks": [
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": ":x: *orders [2024-03-01] failed*\n"
                    "ValueError: no &lt;!channel&gt; &amp; no *orders*\nOwners: ann@example.com, team:sales",
                },
            },
            {
                "type": "context",
                "elements": [
                    {"type": "mrkdwn", "text": "<https://dagster.example.com/runs/1|Open in Dagster>"}
                ],
            },
        ],
    }


def test_programs_get_plain_json_with_headers(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "Bearer hunter2")
    Webhook(hook.url, format="json", headers={"Authorization": dg.EnvVar("HOOK_TOKEN")}).send(MESSAGE, LOG)
    [post] = hook.posts
    assert hook.headers[0]["Authorization"] == "Bearer hunter2"
    assert {name: post[name] for name in ("level", "title", "count", "owners")} == {
        "level": "error",
        "title": "orders [2024-03-01] failed",
        "count": 1,
        "owners": ["ann@example.com", "team:sales"],
    }
    assert post["id"] == MESSAGE.id


def test_a_webhook_that_does_not_take_a_message_is_a_failure_without_its_address(
    hook: Hook, dead: str
) -> None:
    hook.status, hook.answer = 404, b"no_service"
    with pytest.raises(NotificationFailed, match=r"answered with 404, no_service\. Look whether its url"):
        Webhook(hook.url).send(MESSAGE, LOG)
    hook.status, hook.answer = 500, b"<html>hunter2</html>"
    with pytest.raises(NotificationFailed, match=r"answered with 500\.$"):
        Webhook(hook.url).send(MESSAGE, LOG)
    hook.status, hook.location = 302, hook.url
    with pytest.raises(NotificationFailed, match=r"answered with 302\. It redirects"):
        Webhook(hook.url).send(MESSAGE, LOG)
    assert hook.posts == []
    with pytest.raises(NotificationFailed, match=r"cannot be reached: Connection refused\.$") as failure:
        Webhook(dead).send(MESSAGE, LOG)
    assert "hunter2" not in str(failure.value)
    with pytest.raises(NotificationFailed, match="cannot be reached"):
        Webhook("http://no-such-host.invalid/hunter2").send(MESSAGE, LOG)
    with pytest.raises(DeclarationError, match="no http or https address"):
        Webhook("file:///etc/passwd").send(MESSAGE, LOG)


def test_a_slow_webhook_is_given_up_after_its_time_limit(hook: Hook) -> None:
    hook.waits = threading.Event()
    began = time.monotonic()
    with pytest.raises(NotificationFailed, match=r"did not answer within 0.2 s\.$"):
        Webhook(hook.url, timeout_seconds=0.2).send(MESSAGE, LOG)
    assert time.monotonic() - began < 5


# --- E-mail -------------------------------------------------------------------------------------------------


def email(mailbox: Mailbox, **options: Any) -> Email:
    ca_file = str(mailbox.certificate) if mailbox.certificate.is_file() else ""
    given = {"encryption": "none", "ca_file": ca_file, **options}
    return Email(
        to=["data@example.com"], sender="dagster@example.com", host="127.0.0.1", port=mailbox.port, **given
    )


def test_a_letter_has_the_title_as_subject_and_the_rest_as_text() -> None:
    with Mailbox() as mailbox:
        email(mailbox, owners=True).send(MESSAGE, LOG)
    [letter] = mailbox.letters
    assert letter["Subject"] == "orders [2024-03-01] failed"
    assert letter["Message-ID"] == f"<{MESSAGE.id}@practicus-assets.127.0.0.1>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().splitlines() == list(MESSAGE.lines)
    assert mailbox.recipients == [["data@example.com", "ann@example.com"]]


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_letters_go_over_encrypted_connections_with_a_login(
    encryption: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
    with Mailbox(encryption, tmp_path, ("ann", PASSWORD)) as mailbox:
        login: dict[str, Any] = {"user": "ann", "password": dg.EnvVar("SMTP_PASSWORD")}
        email(mailbox, encryption=encryption, **login).send(MESSAGE, LOG)
        with pytest.raises(NotificationFailed, match=r"certificate does not hold"):
            email(mailbox, encryption=encryption, ca_file="", **login).send(MESSAGE, LOG)
        monkeypatch.setenv("SMTP_PASSWORD", "wrong-hunter2")
        with pytest.raises(NotificationFailed, match=r"refused the login \(535\)\. Look at the") as failure:
            email(mailbox, encryption=encryption, **login).send(MESSAGE, LOG)
        assert "hunter2" not in str(failure.value)
    assert len(mailbox.letters) == 1


def test_a_mail_server_that_is_dead_or_offers_no_encryption_is_a_failure() -> None:
    with Mailbox() as mailbox, pytest.raises(NotificationFailed, match=r"offers no such encryption"):
        email(mailbox, encryption="starttls").send(MESSAGE, LOG)
    with pytest.raises(NotificationFailed, match=r"cannot be reached \(Connection refused\)"):
        email(mailbox).send(MESSAGE, LOG)


def test_a_slow_mail_server_is_given_up_after_its_time_limit() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        slow = Email(
            to=["data@example.com"],
            sender="dagster@example.com",
            host="127.0.0.1",
            port=silent.getsockname()[1],
            timeout_seconds=0.2,
        )
        with pytest.raises(NotificationFailed, match="did not answer in time"):
            slow.send(MESSAGE, LOG)


# --- In the sensor ------------------------------------------------------------------------------------------


def test_a_dead_receiver_harms_nothing_and_is_told_when_it_lives(
    instance: dg.DagsterInstance, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.wipe()
    hook.status = 503
    alerts = Alerts(instance, to=[Webhook(hook.url), Log()])
    fail(instance)
    alerts.tick()
    assert alerts.said == "1 message sent, 1 notice waiting. webhook: the receiver answered with 503, ok."
    assert "webhook: the receiver answered with 503, ok. Next try in 30 s." in alerts.log
    assert any(line.startswith("job nightly failed\n") for line in alerts.log)
    alerts.tick()
    assert alerts.said == "0 notices, 1 notice waiting."
    hook.status = 200
    later = time.time() + 31
    monkeypatch.setattr(tick.time, "time", lambda: later)
    alerts.tick()
    assert hook.texts == [
        "job nightly failed\nThis run has been marked as failed from outside the execution context."
    ]
    alerts.tick()
    assert len(hook.posts) == 1


def test_a_receiver_that_never_answers_costs_a_tick_its_time_limit_and_one_thread(
    instance: dg.DagsterInstance, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.wipe()
    monkeypatch.setattr(tick, "_SENDING", 0.3)
    monkeypatch.setattr(outbox, "_FIRST_WAIT", 0.0)
    hook.waits = threading.Event()
    alerts = Alerts(instance, to=[Webhook(hook.url, timeout_seconds=20), Log()])
    fail(instance)
    began = time.monotonic()
    for _ in range(3):
        alerts.tick()
    assert time.monotonic() - began < 10
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("source-look")]
    assert len(threads) == 1
    assert any(line.startswith("job nightly failed\n") for line in alerts.log)
    assert any("takes longer than" in line for line in alerts.log)


def test_a_message_that_is_never_taken_holds_up_no_other(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Picky:
        name = "picky"

        def send(self, message: Any, log: logging.Logger) -> None:
            if "job a" in message.title:
                raise NotificationFailed("the receiver answered with 400, invalid_payload.")
            log.info("took %s", message.title)

    instance.wipe()
    monkeypatch.setattr(outbox, "_FIRST_WAIT", 0.0)
    alerts = Alerts(instance, to=[Picky()])
    for name in ("a", "b"):
        run = instance.add_run(dg.DagsterRun(name, status=dg.DagsterRunStatus.STARTED))
        instance.report_run_failed(run)
    alerts.tick()
    assert alerts.said == (
        "2 notices, 2 notices waiting. picky: the receiver answered with 400, invalid_payload."
    )
    alerts.tick()
    assert "took job b failed" in alerts.log
    assert str(alerts.said).startswith("1 message sent, 1 notice waiting.")


def test_a_receiver_that_is_given_up_after_a_day_is_said_so_in_the_log(
    instance: dg.DagsterInstance, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.wipe()
    alerts = Alerts(instance, to=[Webhook(dead)])
    fail(instance)
    alerts.tick()
    tomorrow = time.time() + 25 * 3600
    monkeypatch.setattr(tick.time, "time", lambda: tomorrow)
    alerts.tick()
    assert "webhook: 1 notification could not be told" in alerts.log
    assert alerts.said == "0 notices."


def test_no_secret_is_in_the_cursor_the_log_a_repr_or_the_definitions(
    instance: dg.DagsterInstance, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.wipe()
    monkeypatch.setenv("HOOK_URL", dead)
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)
    receivers = [
        Webhook(dg.EnvVar("HOOK_URL"), name="slack"),
        Webhook(dead, headers={"X-Token": "hunter2"}),
        Email(
            to=["data@example.com"],
            sender="dagster@example.com",
            host="127.0.0.1",
            port=1,
            user="ann",
            password=dg.EnvVar("SMTP_PASSWORD"),
        ),
    ]
    alerts = Alerts(instance, to=receivers)
    run = dg.DagsterRun("nightly", status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)
    instance.report_run_failed(run, f"cannot log in with {PASSWORD}")
    alerts.tick()
    shown = [
        str(alerts.cursor),
        str(alerts.said),
        *alerts.log,
        *map(repr, receivers),
        str(alerts.sensor.description),
        repr(alerts.sensor),
    ]
    assert "slack: " in str(alerts.said)
    assert "email: 127.0.0.1: " in str(alerts.said)
    assert [text for text in shown if "hunter2" in text] == []


def test_an_environment_variable_that_is_not_set_is_said_and_tried_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.wipe()
    monkeypatch.delenv("HOOK_URL", raising=False)
    alerts = Alerts(instance, to=[Webhook(dg.EnvVar("HOOK_URL"))], base_url=dg.EnvVar("DAGSTER_URL"))
    fail(instance)
    alerts.tick()
    assert "webhook: the url of webhook comes from the environment variable HOOK_URL" in str(alerts.said)
    assert any("messages have no links: base_url comes from" in line for line in alerts.log)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Webhook(7), "the webhook's url is no text"),
        (lambda: Webhook("http://x", format="slak"), "Did you mean slack"),
        (lambda: Webhook("http://x", timeout_seconds=0), "timeout_seconds is 0"),
        (lambda: Webhook(link="http://x"), "has no parameter 'link'"),
        (lambda: Email(to="a@b.c", sender="a@b.c", host="h"), "to is no list of addresses"),
        (lambda: Email(to=["a@b.c\r\nBcc: x@y.z"], sender="a@b.c", host="h"), "to is no list of addresses"),
        (lambda: Email(to=["team:sales"], sender="a@b.c", host="h"), "to is no list of addresses"),
        (lambda: Email(to=["a@b.c"], sender="me", host="h"), "sender is no address"),
        (lambda: Email(to=["a@b.c"], sender="a@b.c", host="h", encryption="ssl"), "encryption is 'ssl'"),
        (
            lambda: Email(to=["a@b.c"], sender="a@b.c", host="h", user="ann", password="hunter2"),  # noqa: S106
            "password is written in the code",
        ),
        (lambda: Email(to=["a@b.c"], sender="a@b.c", host="h", user="ann"), "a user or a password"),
        (
            lambda: Email(
                to=["a@b.c"],
                sender="a@b.c",
                host="h",
                user="ann",
                password=dg.EnvVar("P"),
                encryption="none",
            ),
            "the connection is not encrypted",
        ),
    ],
    ids=range(12),
)
def test_settings_by_which_nothing_can_be_sent_are_refused(make: Any, said: str) -> None:
    with pytest.raises(DeclarationError, match=said) as refused:
        make()
    assert "hunter2" not in str(refused.value)

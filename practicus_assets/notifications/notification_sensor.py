"""The sensor of notifications: reads what failed, is late, or went well again, and tells the receivers."""

from collections.abc import Sequence

import dagster as dg

from practicus_assets.errors import DeclarationError
from practicus_assets.notifications.receiver import Receiver
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import enumerated


@named_parameters
def build_notification_sensor(
    to: Sequence[Receiver],
    *,
    base_url: str = "",
    name: str = "notifications",
    recovered: bool = True,
    messages: int = 10,
    window_minutes: float = 15,
    error_text: bool = True,
    all_code_locations: bool = False,
    minimum_interval_seconds: int = 30,
    description: str | None = None,
    tags: dict[str, str] | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """Return a sensor that tells people of failed runs and checks, of late tables, and of what recovered.

    A failed run is told once, after the last retry of its steps and of the run itself. What is told is kept
    in the sensor's cursor until a receiver has taken it, so that a daemon that is restarted repeats or loses
    nothing; a receiver that does not answer is tried again, less and less often, for a day, and neither keeps
    the others from being told nor lets a tick fail.

    Args:
        to: the receivers: `Webhook`, `Email`, `Log`, or an object with a `name` and `send(message, log)`.
        base_url: the address of Dagster's pages, such as `https://dagster.example.com`, for links; a text or
            a `dg.EnvVar`.
        name: the sensor's name.
        recovered: whether it is told that what failed or was late went well again.
        messages: how many messages a receiver gets in a window at most; what is more becomes one message
            that counts.
        window_minutes: the length of the window, in minutes.
        error_text: whether messages show the text of errors that are not of this package, which may quote
            rows; otherwise their class.
        all_code_locations: whether runs, sensors and schedules of other code locations are told of, too.
        minimum_interval_seconds: the time between two ticks, in seconds.
        description: what Dagster's pages say of it.
        tags: the sensor's tags.
        default_status: whether it runs as soon as it is deployed.

    Raises:
        DeclarationError: if there are no receivers, or two of one name.

    """
    receivers = _by_name(to, name)
    if messages < 1 or window_minutes <= 0:
        raise DeclarationError(
            f"the sensor {name} has messages={messages} and window_minutes={window_minutes}.",
            "Write 1 or more, and more than 0.",
        )
    running: set[str] = set()  # of this process, as the threads are

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from practicus_assets.notifications.outbox import Limit  # noqa: PLC0415 definitions do without
        from practicus_assets.notifications.ticks.tick import Tick, pages_of  # noqa: PLC0415 as above

        tick = Tick(context, pages_of(base_url, context), all_locations=all_code_locations)
        notices = tick.read(error_text=error_text)
        kept = [notice for notice in notices if recovered or notice.kind != "recovered"]
        sent = tick.tell(receivers, kept, Limit(messages, window_minutes * 60), running)
        return dg.SensorResult(
            skip_reason=sent, cursor=tick.cursor.to_text(list(receivers)), asset_events=tick.events
        )

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=evaluate,
        minimum_interval_seconds=minimum_interval_seconds,
        description=description
        or f"Tells {enumerated(list(receivers))} of failed runs and checks, late tables, and recoveries.",
        tags=tags,
        default_status=default_status,
    )


def _by_name(to: Sequence[Receiver], sensor: str) -> dict[str, Receiver]:
    if not isinstance(to, list | tuple) or not to:
        raise DeclarationError(f"the sensor {sensor} tells nobody.", "Write to=[Log()].")
    receivers: dict[str, Receiver] = {}
    for receiver in to:
        name = getattr(receiver, "name", None)
        if (
            isinstance(receiver, type)
            or not isinstance(name, str)
            or not callable(getattr(receiver, "send", None))
        ):
            raise DeclarationError(
                f"the sensor {sensor} is given something that is no receiver.",
                "Give it Webhook(…), Email(…), Log(), or an object with a name and send(message, log).",
            )
        if name in receivers:
            raise DeclarationError(
                f"the sensor {sensor} has two receivers of the name {name!r}.",
                f'Write name="{name}_2" in one.',
            )
        receivers[name] = receiver
    return receivers

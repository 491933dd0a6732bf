"""Ports for servers of tests, which many processes start at once."""

import contextlib
import random
import socket

# Below the ports that Linux gives to outgoing connections (net.ipv4.ip_local_port_range), any of which may
# take a port of that range between the moment at which it is found free and the start of its server.
_PORTS = range(11_000, 32_000)


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Return different ports at which nothing listens, drawn at random so that two processes hardly meet."""
    chosen = random.SystemRandom()
    with contextlib.ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            listener = held.enter_context(socket.socket())
            port = chosen.choice(_PORTS)
            with contextlib.suppress(OSError):
                listener.bind((address, port))
                found.append(port)
        return found


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port at which nothing listens."""
    return free_ports(1, address)[0]

"""Addresses of served pages, and errors of addresses that cannot be used.

`streamtoon serve` and `streamtoon vote` share these functions, which need no web library.
"""

from __future__ import annotations

import errno
import ipaddress
import socket

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - read, not bound to
"""Hosts that mean every address of this machine."""
_ELSEWHERE = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # noqa: S104 - read, not bound to
"""Addresses for documentation (RFC 5737, RFC 3849), which no host has."""


def is_loopback(host: str) -> bool:
    """Return whether a server on this host can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def lan_host(host: str) -> str:
    """Return the host under which other machines reach a server that is bound to `host`.

    If it is bound to every address, that is the address of the default route, or else the host name of this
    machine. Nothing is sent.
    """
    if host not in EVERYWHERE:
        return host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as plan:
            plan.connect((_ELSEWHERE[host], 9))  # on a datagram socket, this only selects the route
            found: str = plan.getsockname()[0]
    except OSError:
        return socket.gethostname()
    return found if not ipaddress.ip_address(found).is_unspecified else socket.gethostname()


def own_host(host: str) -> str:
    """Return the host under which this machine reaches a server that is bound to `host`."""
    return "localhost" if host in EVERYWHERE else host


def page_address(scheme: str, host: str, port: int) -> str:
    """Return the URL of a page, with an IPv6 host in brackets."""
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"


def cannot_listen(host: str, port: int, error: OSError) -> str:
    """Return the error of a server that cannot listen, with a way out."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; --host 0.0.0.0 listens on all addresses"
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1
        return (
            f"port {port} is in use by another program; choose another one, such as --port {other}, "
            "or any free one with --port 0"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this account may not use port {port}; choose one above 1023, such as --port 8080"
    return f"cannot listen on {host}:{port} ({error.strerror or error}); try another --port or --host"

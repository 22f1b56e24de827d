"""TLS: trusted certificates, and why a server's certificate is rejected."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Final

SECURE: Final = frozenset({"https", "rtsps", "rtmps"})
"""Schemes whose servers have a certificate."""
_TIMEOUT_S = 5.0
"""Timeout for asking a server again why its certificate is rejected."""


def ca_file() -> str | None:
    """Return the file with the trusted certificate authorities. SSL_CERT_FILE overrides it.

    None if the system stores them differently, like Windows.
    """
    known = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    if known is not None and Path(known).is_file():
        return known
    try:
        import certifi
    except ModuleNotFoundError:
        return None
    return certifi.where()


def context(*, insecure: bool = False) -> ssl.SSLContext:
    """Return the context for Python's connections. Certificate and host name are
    checked, unless `insecure`.
    """
    if insecure:
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return trusting
    result = ssl.create_default_context()
    if (file := ca_file()) is not None:
        result.load_verify_locations(file)
    return result


def ffmpeg_options() -> dict[str, str]:
    """Return the options for FFmpeg's connections. By default, FFmpeg checks nothing."""
    file = ca_file()
    return {"tls_verify": "1"} | ({} if file is None else {"ca_file": file})


def refusal(host: str, port: int) -> str | None:
    """Return why the certificate of a server is rejected, as a clause; None if it is valid.

    Called after a connection has failed, because FFmpeg does not distinguish this failure from others.
    """
    try:
        with (
            socket.create_connection((host, port), _TIMEOUT_S) as plain,
            context().wrap_socket(plain, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")
        return f"its certificate is not trusted ({why}); use --insecure to accept it"
    except OSError:
        return None

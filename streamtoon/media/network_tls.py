"""Encrypted connections: whom they trust, and why a server is not believed."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Final

SECURE: Final = frozenset({"https", "rtsps", "rtmps"})
"""Schemes whose servers show a certificate."""
_PATIENCE = 5.0
"""Seconds to ask a server once more why it is not believed."""


def ca_file() -> str | None:
    """The authorities that this computer trusts, in one file; SSL_CERT_FILE names another.

    None where the system keeps them otherwise, as Windows does.
    """
    known = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    if known is not None and Path(known).is_file():
        return known
    try:
        import certifi
    except ModuleNotFoundError:
        return None
    return certifi.where()


def context() -> ssl.SSLContext:
    """For connections that Python makes: certificate and name are checked."""
    result = ssl.create_default_context()
    if (file := ca_file()) is not None:
        result.load_verify_locations(file)
    return result


def ffmpeg_options() -> dict[str, str]:
    """For connections that FFmpeg makes, which by itself checks nothing."""
    file = ca_file()
    return {"tls_verify": "1"} | ({} if file is None else {"ca_file": file})


def refusal(host: str, port: int) -> str | None:
    """Why the certificate of a server is not believed, a clause for a sentence; None where it is.

    Asked when a connection has failed: FFmpeg does not tell this from other failures.
    """
    try:
        with (
            socket.create_connection((host, port), _PATIENCE) as plain,
            context().wrap_socket(plain, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")
        return f"its certificate is not trusted ({why}); --insecure takes any"
    except OSError:
        return None

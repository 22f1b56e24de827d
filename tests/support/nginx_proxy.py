"""A real nginx with the configuration of deploy/nginx, in front of servers of a test."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paths import ROOT
from tls_parts import Authority

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
CONFIGURATION = ROOT / "deploy" / "nginx" / "streamtoon.conf"
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is missing")

MAIN = """
daemon off;
pid {0}/nginx.pid;
error_log {0}/error.log;
{1}
events {{ }}
http {{
    access_log off;
    client_body_temp_path {0}/body;
    proxy_temp_path {0}/proxy;
    fastcgi_temp_path {0}/fastcgi;
    uwsgi_temp_path {0}/uwsgi;
    scgi_temp_path {0}/scgi;
    include {0}/streamtoon.conf;
}}
"""


@contextmanager
def nginx(folder: Path, ports: dict[str, int]) -> Iterator[str]:
    """Run nginx until the block ends, and yield its address.

    The only changes to the configuration are ports and the certificate's place. `ports` maps the ports that
    the configuration names to those of the test's servers.
    """
    folder.mkdir()
    port = _free_port()
    Authority(folder).context("127.0.0.1")
    text = CONFIGURATION.read_text(encoding="utf-8")
    changes = {"listen 443 ssl": f"listen 127.0.0.1:{port} ssl"}
    changes |= {f"127.0.0.1:{named}": f"127.0.0.1:{real}" for named, real in ports.items()}
    changes |= {f"/etc/ssl/streamtoon/{name}.pem": f"{folder}/127.0.0.1.pem" for name in ("cert", "key")}
    for old, new in changes.items():
        assert old in text, f"{CONFIGURATION} has no {old}"
        text = text.replace(old, new)
    (folder / "streamtoon.conf").write_text(text, encoding="utf-8")
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder, user), encoding="utf-8")
    process = subprocess.Popen([str(NGINX), "-p", folder, "-e", "error.log", "-c", folder / "nginx.conf"])
    try:
        _wait_for(port, process)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    context = ssl._create_unverified_context()
    end = time.monotonic() + 30
    while True:
        assert process.poll() is None, "nginx has ended"
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain):
                return
        except OSError:
            assert time.monotonic() < end, "nginx does not listen"
            time.sleep(0.1)

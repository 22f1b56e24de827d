"""Passwords, keys and tokens of addresses are in nothing that is printed."""

from __future__ import annotations

import socket
from urllib.parse import quote

import pytest

from streamtoon.errors import InputError, OutputError
from streamtoon.media.network.secrets import UNESCAPED
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.targets import StreamTarget
from streamtoon.media.network.urls import shown

KNOWN = [
    # Names and passwords before the host, with letters that have to be escaped and are not.
    ("rtsp://zoe:hunter@camera:8554/live", "rtsp://***@camera:8554/live", ["zoe", "hunter"]),
    ("rtsp://zoe:hun@ter@camera:8554/live", "rtsp://***@camera:8554/live", ["zoe", "hun@", "ter@"]),
    ("rtsp://zoe:hun/ter@camera/live", "rtsp://***@camera/live", ["zoe", "hun/", "ter@"]),
    ("rtsp://zoe:hun?ter@camera/live", "rtsp://***", ["zoe", "hun?", "ter@"]),
    ("rtsp://zoe:hun#ter@camera/live", "rtsp://***@camera/live", ["zoe", "hun#", "ter@"]),
    ("rtsp://zoe:q@zz:w/yk@camera:554/live", "rtsp://***@camera:554/live", ["zoe", "q@", "zz:", "w/", "yk@"]),
    ("rtsp://zoe:12/34@camera/live", "rtsp://***@camera/live", ["zoe", "12/", "34@"]),
    ("rtsp://zoe:hun\\ter@camera/live", "rtsp://***@camera/live", ["zoe", "hun\\", "ter@"]),
    ("RTSP://zoe:hunter@camera/live", "RTSP://***@camera/live", ["zoe", "hunter"]),
    ("  rtsp://zoe:hunter@camera/live", "rtsp://***@camera/live", ["zoe", "hunter"]),
    ("rtsp://zoe:hunter", "rtsp://zoe:***", ["hunter"]),
    ("rtsp://zoe:hunter@[bad", "rtsp://***@[bad", ["zoe", "hunter"]),
    ("https://:token@h/whip", "https://***@h/whip", ["token"]),
    ("https://tok/en@h/whip", "https://***@h/whip", ["tok", "en@"]),
    # In the paths of cameras.
    (
        "rtsp://h/user=admin&password=hunter&channel=1&stream=0.sdp",
        "rtsp://h/user=***",
        ["admin", "hunter"],
    ),
    (
        "rtsp://h:554/user=admin_password=hun/ter_channel=1",
        "rtsp://h:554/user=***",
        ["admin", "hun/", "ter_"],
    ),
    ("rtsp://h/live/password=q@zz&channel=1", "rtsp://***", ["q@", "zz&"]),
    ("rtsp://h/admin:hunter/ch0", "rtsp://h/***/ch0", ["admin", "hunter"]),
    # In queries, and in parts of a query that have no name.
    (
        "rtsp://h/cam?username=zoe&password=hunter",
        "rtsp://h/cam?username=***&password=***",
        ["zoe", "hunter"],
    ),
    ("https://h/whip?token=abc&secret", "https://h/whip?token=***&***", ["abc", "secret&"]),
    ("https://h/whip?c2VjcmV0==", "https://h/whip?***", ["c2VjcmV0"]),
    ("https://h:8443/x?token=abc@def", "https://***", ["abc", "def"]),
    # Stream keys.
    ("rtmp://a.example/live2/abcd-key", "rtmp://a.example/live2/***", ["abcd", "key"]),
    ("rtmp://a.example/live2/abcd-key/", "rtmp://a.example/live2/***", ["abcd", "key"]),
    ("rtmp://a.example/live2/abcd@key", "rtmp://***", ["abcd", "key"]),
    (
        "rtmps://u:p@a.example:443/app/key?x=1",
        "rtmps://***@a.example:443/app/***?x=***",
        ["u:p", "key", "=1"],
    ),
    ("https://h/8b1c7c6dk1deadbeefdeadbeef0042/publish", "https://h/***/publish", ["8b1c", "0042"]),
]


@pytest.mark.parametrize(("given", "told", "secrets"), KNOWN)
def test_secrets_are_hidden(
    given: str, told: str, secrets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(given) == told

    def nowhere(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(InputError) as caught:
        NetworkSource(given, latency=0).close()
    said = [str(caught.value)]
    try:
        target = StreamTarget(given, source=None, overwrite=False)
    except OutputError as error:
        said.append(str(error))
    else:
        said.append(target.shown)
        with pytest.raises(LookupError) as unknown:
            target.open(1)
        said.append(str(unknown.value))
    for sentence in said:
        assert not [secret for secret in secrets if secret in sentence], sentence


@pytest.mark.parametrize(
    "plain",
    [
        "rtsp://camera/live",
        "rtsp://192.168.1.20:554/Streaming/Channels/101",
        "rtsp://camera/h264Preview_01_main",
        "http://h:8080/hls/live.m3u8",
        "udp://[ff02::1]:5000",
        "rtp://239.0.0.1:5004",
        "film: the end.mp4",
        "file:film.mp4",
        "a@b/film=1.mp4",
    ],
)
def test_what_is_not_secret_is_shown(plain: str) -> None:
    assert shown(plain) == plain


def test_an_unescaped_password_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError) as caught:
        NetworkSource("rtsp://zoe:hun/ter@camera/live", latency=0)
    assert str(caught.value) == f"rtsp://***@camera/live is not a valid address: {UNESCAPED}."
    assert all(f"{letter} as {quote(letter, safe='')}" in UNESCAPED for letter in "/?#@")

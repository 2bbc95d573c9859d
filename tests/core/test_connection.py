"""In the clear only on this machine, or where somebody named the host."""

from __future__ import annotations

from itertools import islice

import pytest

from caisey_core.connection import _delays, address, is_loopback
from caisey_core.errors import UsageError


@pytest.mark.parametrize(
    ("origin", "socket"),
    [
        ("https://relay.example.com", "wss://relay.example.com/v1/socket"),
        ("https://relay.example.com/", "wss://relay.example.com/v1/socket"),
        ("https://relay.example.com:8443", "wss://relay.example.com:8443/v1/socket"),
        ("HTTPS://relay.example.com", "wss://relay.example.com/v1/socket"),
        ("https://192.0.2.7", "wss://192.0.2.7/v1/socket"),
        ("https://[2001:db8::7]:8443", "wss://[2001:db8::7]:8443/v1/socket"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/socket"),
        ("http://127.8.9.1:8080", "ws://127.8.9.1:8080/v1/socket"),
        ("http://[::1]:8080", "ws://[::1]:8080/v1/socket"),
        ("http://localhost:8080", "ws://localhost:8080/v1/socket"),
        ("http://LOCALHOST", "ws://LOCALHOST/v1/socket"),
    ],
)
def test_where_the_socket_is(origin: str, socket: str) -> None:
    assert address(origin) == socket


@pytest.mark.parametrize(
    "origin",
    [
        "http://relay.example.com",
        "http://192.0.2.7",
        "http://10.0.0.1:8080",
        "http://0.0.0.0",
        "http://[::]",
        "http://[2001:db8::7]",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1%2eexample.com",
        "http://2130706433",
        "http://0x7f.1",
        "http://127.1",
        "http://localhost.",
    ],
)
def test_nothing_goes_in_the_clear_to_another_machine(origin: str) -> None:
    with pytest.raises(UsageError, match="in the clear") as refused:
        address(origin)
    assert "--plain-text-on" in refused.value.hint


def test_but_to_a_host_that_was_named() -> None:
    assert address("http://relay.lan:8080", "relay.lan") == "ws://relay.lan:8080/v1/socket"
    for other in ("", "relay", "lan", "other.lan", "relay.lan:8080"):
        with pytest.raises(UsageError):
            address("http://relay.lan:8080", other)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "relay.example.com",
        "relay.example.com:8080",
        "ws://localhost",
        "wss://relay.example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://relay.example.com/elsewhere",
        "http://localhost/v1/socket",
    ],
)
def test_what_is_no_address(origin: str) -> None:
    with pytest.raises(UsageError, match="not the address of a relay"):
        address(origin)


@pytest.mark.parametrize("origin", ["http://[::1", "https://[relay]", "http://localhost:99999", "http://localhost:x"])
def test_what_urlsplit_itself_refuses(origin: str) -> None:
    with pytest.raises(UsageError):
        address(origin)


@pytest.mark.parametrize(
    "origin",
    ["https://relay.example.com?x=1", "https://relay.example.com#x", "https://u:p@relay", "http://localhost@relay"],
)
def test_an_address_is_a_host_and_a_port(origin: str) -> None:
    with pytest.raises(UsageError):
        address(origin)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("localhost", True),
        ("", False),
        ("0.0.0.0", False),  # noqa: S104  (a host that is asked about)
        ("::", False),
        ("126.0.0.1", False),
        ("128.0.0.1", False),
        ("localhost.localdomain", False),
        ("127.1", False),
        ("127.0.0.1 ", False),
        ("relay", False),
    ],
)
def test_what_can_only_be_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def test_it_is_asked_again_soon_and_then_seldom() -> None:
    delays = list(islice(_delays(20.0), 40))
    assert 0.05 <= delays[0] <= 0.15
    assert max(delays) <= 30
    assert min(delays[20:]) >= 10
    assert len(set(delays[20:])) > 1, "never in step with others"

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from managers.address import Address, check_address, parse_address, permitted, resolve
from models.errors import PermanentError, TransientError

LAN = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("text", "address", "base_url"),
    [
        ("10.20.0.15:5000", Address("10.20.0.15", 5000), "http://10.20.0.15:5000"),
        ("10.20.0.15", Address("10.20.0.15"), "http://10.20.0.15"),
        ("scanner-1.example", Address("scanner-1.example"), "http://scanner-1.example"),
        ("mri_simulator:1", Address("mri_simulator", 1), "http://mri_simulator:1"),
        ("3tesla", Address("3tesla"), "http://3tesla"),
        ("[::1]:65535", Address("::1", 65535), "http://[::1]:65535"),
        ("[FD00::0:1]", Address("fd00::1"), "http://[fd00::1]"),
        ("host.", Address("host."), "http://host."),
    ],
)
def test_what_is_an_address(text: str, address: Address, base_url: str) -> None:
    assert parse_address(text) == address
    assert address.base_url == base_url


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "host:",
        "host:0",
        "host:65536",
        "host:+1",
        "host:1_0",
        "host:٣",
        "host:80:80",
        "http://host",
        "host/path",
        "host?x",
        "host#x",
        "user@host",
        "user:pw@host",
        " host",
        "host ",
        "ho st",
        "host\n",
        "host\x00",
        "höst",
        "::1",
        "[::1",
        "[fe80::1%eth0]:80",
        "[10.0.0.1]",
        "[]",
        "-host",
        "host-",
        "a..b",
        ".",
        "a" * 64,
        ".".join(["a"] * 150),
        "127.1",
        "0x7f000001",
        "0x7f.1",
        "2130706433",
        "010.0.0.1",
        "256.0.0.1",
        "1.2.3.4.5",
        "1.2.3.4.",
        "x.1",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(PermanentError) as caught:
        parse_address(text)
    # Always the same sentence: the text is never in it.
    assert str(caught.value).endswith("is not host[:port]")


@given(text=st.text(max_size=40) | st.from_regex(r"[\[a-z0-9:./@% _-]{0,30}", fullmatch=True))
def test_what_passes_is_one_host_and_port_and_nothing_else(text: str) -> None:
    try:
        address = parse_address(text)
    except PermanentError:
        return
    assert address.netloc.isascii()
    assert not set(address.netloc) & set("/@?#%\\ \t\r\n\0")
    assert parse_address(address.netloc) == address


@given(ip=st.ip_addresses(), port=st.none() | st.integers(1, 65_535))
def test_every_ip_address_passes(ip: object, port: int | None) -> None:
    address = Address(str(ip), port)
    assert parse_address(address.netloc) == address
    assert address.ip == ip


def test_an_address_outside_of_the_networks_is_refused() -> None:
    inside, outside = Address("10.1.2.3", 80), Address("169.254.169.254")
    assert check_address(inside, LAN) is inside
    assert check_address(outside, ()) is outside, "no list, no limit"
    assert check_address(Address("a.name"), LAN) == Address("a.name"), "checked when resolved"
    with pytest.raises(PermanentError, match="SCANHUB_DEVICE_NETWORKS"):
        check_address(outside, LAN)


def test_ipv4_in_the_clothes_of_ipv6_is_ipv4() -> None:
    assert permitted(ip_address("::ffff:10.0.0.1"), LAN)
    assert not permitted(ip_address("::ffff:192.168.0.1"), (*LAN, ip_network("::/0")))


async def test_names_are_resolved_and_what_they_resolve_to_is_checked() -> None:
    loopback = (ip_network("127.0.0.0/8"),)
    found = await resolve(Address("localhost", 80), loopback, timeout_s=2)
    assert found == [ip_address("127.0.0.1")]
    assert ip_address("127.0.0.1") in await resolve(Address("localhost"), (), timeout_s=2)
    with pytest.raises(PermanentError, match="SCANHUB_DEVICE_NETWORKS"):
        await resolve(Address("localhost", 80), LAN, timeout_s=2)
    with pytest.raises(PermanentError, match="SCANHUB_DEVICE_NETWORKS"):
        await resolve(Address("127.0.0.1", 80), LAN, timeout_s=2)


async def test_a_name_that_is_not_found_may_be_found_later() -> None:
    with pytest.raises(TransientError, match="not found") as caught:
        await resolve(Address("nobody.invalid", 80), (), timeout_s=2)
    assert not caught.value.sent

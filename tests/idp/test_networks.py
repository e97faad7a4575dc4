"""Which addresses are the public internet's, and which carry another one inside."""

import ipaddress

import pytest

from idp import networks

PUBLIC = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
OTHERS = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2002:a00:1::",
    "2002:7f00:1::1",
    "2001:0:a00:1::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "5f00::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_host_of_the_internet_is_public(address: str) -> None:
    assert networks.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", OTHERS)
def test_nothing_else_is_public(address: str) -> None:
    assert not networks.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1"])
def test_a_named_network_holds_what_stands_for_one_of_its_hosts(address: str) -> None:
    named = [ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("fd00::/8")]
    assert networks.is_in(ipaddress.ip_address(address), named)
    assert not networks.is_in(ipaddress.ip_address(address), named[1:])
    assert not networks.is_in(ipaddress.ip_address(address), [])

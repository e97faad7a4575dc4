"""Networks: which addresses are hosts of the public internet, and which ones somebody named. Pure.

An IPv6 address may carry an IPv4 one (mapped, NAT64, 6to4, Teredo), and then it is that one's
turn: a guard that looked at the outer address alone would let our own machines be asked.
Sources: RFC 6890 (special addresses), 4291, 6052, 3056, 4380; OWASP ASVS 5.0, 1.3.6.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that hosts have been given so far
_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")  # RFC 9637, younger than our oldest Python
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def is_public(address: Address) -> bool:
    """Whether this is a host on the public internet."""
    return all(_is_public(meant) for meant in meanings(address))


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """Whether this is a host in one of these networks."""
    named = tuple(networks)
    return all(
        any(meant.version == network.version and meant in network for network in named)
        for meant in meanings(address)
    )


def meanings(address: Address) -> list[Address]:
    """The addresses that one stands for: those that it carries, else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address.sixtofour:
        return [address.sixtofour]
    if address.teredo:
        return list(address.teredo)
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]


def _is_public(address: Address) -> bool:
    # Stricter than `is_global`, which in our oldest Python lets multicast through, and much of
    # what nobody was given.
    is_assigned = address.version == 4 or (
        address in _GLOBAL_UNICAST and address not in _DOCUMENTATION
    )
    return is_assigned and address.is_global and not address.is_multicast

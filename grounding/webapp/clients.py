"""Who asks, as far as bounds on one client go."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any


def client_of(source: Sequence[Any] | None) -> str:
    """What counts as one client: an IPv4 address, or the 64 bits of an IPv6 address that its owner cannot choose.

    Args:
        source: address and port that a connection came from, as ASGI has them; None for a socket without.
    """
    if source is None:
        return ""
    address = ip_address(source[0].partition("%")[0])  # without the interface that a link-local one is of
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))

"""A limit of wrong tokens by address."""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from time import monotonic

# Wrong tokens of an address that are answered at once, and seconds after which it may send another.
AT_ONCE = 120
SECONDS_EACH = 0.25
# Addresses that are remembered; beyond, the one that was quiet the longest is forgotten.
MOST_ADDRESSES = 10_000


class WrongTokens:
    """Counts wrong tokens by address in this process (a token bucket each)."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        # The instant at which an address has all of `AT_ONCE` again.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def is_over(self, address: str) -> bool:
        """Whether an address has sent too many of late."""
        now = self._clock()
        most = (AT_ONCE - 1) * SECONDS_EACH
        return self._full_at.get(network_of(address), now) - now > most

    def count(self, address: str) -> None:
        """Count a wrong token."""
        now, network = self._clock(), network_of(address)
        full_at = max(self._full_at.pop(network, now), now)
        self._full_at[network] = min(full_at, now + AT_ONCE * SECONDS_EACH) + SECONDS_EACH
        if len(self._full_at) > MOST_ADDRESSES:
            self._full_at.popitem(last=False)


def network_of(address: str) -> str:
    """What counts as one client: an address, or the /64 of an IPv6 address, which one host has.

    >>> network_of("2001:db8::1") == network_of("2001:db8::ffff")
    True
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address) or found.ipv4_mapped is not None:
        return address
    return str(IPv6Address(int(found) >> 64 << 64))

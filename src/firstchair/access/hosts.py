"""The names under which a service may be addressed: the defence against DNS rebinding.

A page of another site can point a name of its own at a loopback address and send requests there
from the browser of a person who runs this service. Such a request carries the foreign name in its
`Host` header. An address written as digits cannot be pointed elsewhere.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Names and addresses of a service, without ports.

    names: lower case; `*.example.org` stands for all names below it. any_address: addresses in
    digits are allowed too.
    """

    names: frozenset[str] = field(default=LOOPBACK_NAMES)
    any_address: bool = False

    @classmethod
    def of(cls, allowed: str, *, listens_at: str) -> "AllowedHosts":
        """The names of a setting.

        Args:
            allowed: Names separated by commas, beside loopback, which is always allowed.
            listens_at: Address that the service listens at. Beyond loopback it can be reached by
                any address of the machine.
        """
        named = {name.strip().lower() for name in allowed.split(",")} - {""}
        return cls(LOOPBACK_NAMES | named, listens_at.lower() not in LOOPBACK_NAMES)

    def admits(self, host: bytes) -> bool:
        """Whether a `Host` header names this service; an empty one comes from no browser."""
        return not host or EVERYWHERE in self.names or _admits(self, host)


@lru_cache(maxsize=256)
def _admits(allowed: AllowedHosts, host: bytes) -> bool:
    name = _name_of(host.decode("latin-1").strip().lower())
    if name in allowed.names:
        return True
    _, dot, parent = name.partition(".")
    while dot:
        if f"*.{parent}" in allowed.names:
            return True
        _, dot, parent = parent.partition(".")
    return allowed.any_address and _is_address(name)


def _name_of(host: str) -> str:
    """The host of `name:port`, `address:port` or `[address]:port`, without a final dot."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        found = ip_address(name)
    except ValueError:
        return False
    return not (isinstance(found, IPv6Address) and found.scope_id)

"""A ROS domain that no other process has, for tests and benchmarks."""

from __future__ import annotations

import functools
import random
import socket

# From 1 to 99: above that, ports of Fast DDS are ephemeral ports of the system.
_DOMAINS = range(1, 100)
_claims: list[socket.socket] = []  # kept open as long as the process lives


@functools.cache
def own_domain() -> int:
    """A domain id that this process keeps for itself until it ends.

    The claim is the name of an abstract socket: a machine has it once, and it is free again when the process
    has ended, killed or not. Raises OSError when all are taken.
    """
    for domain_id in random.SystemRandom().sample(_DOMAINS, len(_DOMAINS)):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0dexpie-domain-{domain_id}")
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return domain_id
    raise OSError(f"all ROS domains from {_DOMAINS[0]} to {_DOMAINS[-1]} are in use on this machine")

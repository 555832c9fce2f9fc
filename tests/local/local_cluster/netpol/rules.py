"""What policies come to: for each isolated pod and direction the conditions, in nft's words, under which a packet may pass."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from local_cluster.netpol.world import Pod


class Direction(Enum):
    """Which way a packet goes, seen from the pod that a policy isolates."""

    EGRESS = "Egress"
    INGRESS = "Ingress"

    @property
    def peer(self) -> str:
        """nft's name of the address that is the peer's."""
        return "daddr" if self is Direction.EGRESS else "saddr"


@dataclass(frozen=True)
class Port:
    """A port, a range up to `end`, a named port, or every port of the protocol; the protocol ANY stands for TCP and UDP."""

    protocol: str
    number: int | str | None = None
    end: int | None = None


@dataclass(frozen=True)
class Block:
    """Addresses as peers, in nft's words, such as `ip daddr 10.0.0.0/8`; an empty condition is every address."""

    condition: str


Peer = Block | Pod
EVERYONE = Block("")


@dataclass(frozen=True)
class Isolation:
    """A pod that may send, or be sent, only what one of the conditions names."""

    pod: Pod
    direction: Direction
    conditions: tuple[str, ...]


def block(direction: Direction, cidr: str, excepts: Iterable[str] = ()) -> Block | None:
    """A range of addresses without some; None for IPv6, which the cluster does not carry."""
    if ":" in cidr:
        return None
    shut = sorted(e for e in excepts if ":" not in e)
    return Block(f"ip {direction.peer} {cidr}" + (f" ip {direction.peer} != {{ {', '.join(shut)} }}" if shut else ""))


def conditions(
    direction: Direction, subject: Pod, peers: tuple[Peer, ...], ports: tuple[Port, ...], pods: tuple[Pod, ...]
) -> Iterator[str]:
    """The conditions of one allow rule: any of the peers with any of the ports, all ports where none are given.

    A named port is the receiver's: on the way in that of the isolated pod, on the way out that of each pod that is a peer.
    """
    selected = tuple(p for p in peers if isinstance(p, Pod))
    blocks = tuple(p for p in peers if isinstance(p, Block))
    for port in ports or (None,):
        if port is not None and isinstance(port.number, str):
            yield from _named(direction, subject, selected if EVERYONE not in blocks else pods, blocks, port)
            continue
        head = _port(port)
        if selected:
            yield _join(_any_of(direction, selected), head)
        yield from (_join(b.condition, head) for b in blocks)


def _named(direction: Direction, subject: Pod, selected: tuple[Pod, ...], blocks: tuple[Block, ...], port: Port) -> Iterator[str]:
    name = str(port.number)
    if direction is Direction.INGRESS:
        for number in subject.numbers(name, port.protocol):
            head = _port(Port(port.protocol, number))
            if selected and EVERYONE not in blocks:
                yield _join(_any_of(direction, selected), head)
            yield from (_join(b.condition, head) for b in blocks)
        return
    numbers = sorted({n for pod in selected for n in pod.numbers(name, port.protocol)})
    for number in numbers:
        having = tuple(pod for pod in selected if number in pod.numbers(name, port.protocol))
        yield _join(_any_of(direction, having), _port(Port(port.protocol, number)))


def _any_of(direction: Direction, pods: tuple[Pod, ...]) -> str:
    return f"ip {direction.peer} {{ {', '.join(dict.fromkeys(p.address for p in pods))} }}"


def _port(port: Port | None) -> str:
    if port is None:
        return ""
    if port.protocol == "ANY":
        return "" if port.number is None else f"meta l4proto {{ tcp, udp }} th dport {_range(port)}"
    protocol = port.protocol.lower()
    return f"meta l4proto {protocol}" if port.number is None else f"{protocol} dport {_range(port)}"


def _range(port: Port) -> str:
    return f"{port.number}-{port.end}" if port.end else f"{port.number}"


def _join(*parts: str) -> str:
    return " ".join(p for p in parts if p)

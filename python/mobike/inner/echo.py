"""The host behind a gateway that has no TUN: it answers pings, and nothing else."""

from collections.abc import Iterable

from mobike.inner.icmp import Echo


def answers(packets: Iterable[bytes]) -> list[bytes]:
    """The echo replies to the echo requests among `packets`."""
    requests = (Echo.parse(packet) for packet in packets)
    return [request.answer().emit() for request in requests if request is not None and not request.reply]

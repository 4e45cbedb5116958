"""The Rust core: `Core` has sockets, engines and userspace ESP in threads of their own. Built from `rust/py`.

Orders go in as `mobike.commands` and `mobike.dataplane.operations`, facts come out as `mobike.events`, both in batches.
Every method may be called from any thread and returns at once, except where it says that it waits.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, final

from mobike.address import ChildId, Ip, Nanos, Path, SaId
from mobike.commands import Command
from mobike.dataplane.operations import ChildOrder, Operation
from mobike.events import CoreEvent, PlaneEvent, Question
from mobike.exchange import Exchange
from mobike.tape import Taped

__all__ = [
    "Core",
    "SealedKeys",
    "SimCore",
    "check_esp_proposal",
    "check_identity",
    "check_identity_pattern",
    "check_ike_proposal",
]

@final
class Core:
    """The shards: sockets, engines and userspace ESP in threads of their own."""

    def __new__(
        cls,
        *,
        listen: Sequence[str],
        ike_port: int = 500,
        natt_port: int = 4500,
        tcp: bool = False,
        shards: int = 1,
        inner: str = "none",
        tun_name: str = "mobike%d",
        tun_mtu: int = 1400,
        plane: str = "userspace",
        always_encap: bool = True,
        cookie_threshold: int = 1_000,
        max_half_open: int = 50_000,
        prefix_limits: Mapping[str, int] | None = None,
        puzzle_limits: Mapping[str, int] | None = None,
        hardest_solved: int = 20,
        half_open_lifetime: int = 30_000_000_000,
        max_sas: int = 1 << 20,
        pin_cpus: Sequence[int] | None = None,
        seed: bytes | None = None,
        store_key: bytes | None = None,
    ) -> Core:
        """Listen, open the TUN device if there is one, and start the threads; when this returns they work.

        `listen` are addresses; "0.0.0.0" and "::" stand for all of a family. `inner` is "none", "port" or "tun";
        `plane` is "userspace", "kernel" or "null"; with "kernel", Child SAs are told as `InstallChild` and
        wait for `PlaneWord`. `half_open_lifetime` is in nanoseconds, `tun_mtu` in bytes. `seed` (32 bytes)
        makes chance repeatable and is for tests alone. `prefix_limits` are what strangers from one prefix may cost:
        `v4`, `v6`, `network_v4`, `network_v6` (bits), `cookie_threshold`, `max`, `network_times`,
        `forgiven_per_second`, `failure_costs`, `tracked`; `puzzle_limits` when they must solve puzzles: `threshold`,
        `easiest`, `hardest`, `unsolved_per_second`, `auth_threshold`. `hardest_solved` is for puzzles put to us.
        `store_key` (32 bytes) seals the IKE SAs that are written down. OSError: the system refused, with the address
        or device in the message. ValueError: settings that make no sense.
        """

    def submit(self, orders: Iterable[Command | Operation], /) -> None:
        """Give orders, all or none: ValueError or TypeError names the one that makes no sense; nothing is done then."""

    def told_by(self) -> list[tuple[CoreEvent | PlaneEvent | Question | ChildOrder, bool, int]]:
        """Of the events that were taken last: those that came of an exchange, whether we asked, and its message id."""

    def take_events(self, limit: int, /) -> list[CoreEvent | PlaneEvent | Question | ChildOrder]:
        """At most `limit` events, oldest first; at once."""

    def event_fd(self) -> int:
        """Readable while events wait."""

    def inner_send(self, packets: Sequence[bytes], /) -> int:
        """Plain packets into the tunnels; how many were taken. The rest is dropped and counted."""

    def inner_take(self, limit: int, /) -> list[bytes]:
        """At most `limit` plain packets out of the tunnels; at once."""

    def inner_fd(self) -> int | None:
        """Readable while plain packets wait; None unless `inner` is "port"."""

    def tun_name(self) -> str | None:
        """What the kernel called the TUN device; None unless `inner` is "tun"."""

    def counters(self) -> dict[str, int]:
        """Everything counted so far, by name, summed over the shards: `ike_`, `esp_`, `io_`. Waits for the shards."""

    def child_counters(self, child: ChildId, /) -> dict[str, int] | None:
        """What a Child SA has carried; None if there is none, or no userspace plane. Waits for its shard."""

    def tape(self, sa: SaId, room: int | None, /) -> None:
        """Take down what this IKE SA and its Child SAs send and receive, with room for so many octets between two
        looks; None: no more. Of each shard one at a time."""

    def taped(self, sa: SaId, /) -> Taped | None:
        """What was taken down since the last look, and the keys of now in the clear; None if it is not taken down.
        Waits for its shard."""

    def exchanges(self, sa: SaId, /) -> tuple[Exchange, ...] | None:
        """The last exchanges of an IKE SA; None if it is not there. Waits for its shard."""

    def examine(self, records: Sequence[bytes], /) -> list[SaId]:
        """Whose records these are; ValueError if one of them can never be taken back by this core. Nothing is done."""

    def resume(self, records: Sequence[tuple[bytes, bool]], /) -> list[tuple[SaId, str | None]]:
        """Take IKE SAs back, each with whether it is stale: their ids, and why one was not taken back.

        A record is taken back once in its life, by one core. Waits for the shards.
        """

    def changed(self, limit: int, /) -> list[SaId]:
        """IKE SAs that changed since they were last told; about `limit` at most. Waits for the shards."""

    def records(self, asked: Sequence[tuple[SaId, bytes]], /) -> list[tuple[SaId, bytes]]:
        """These IKE SAs with their notes, sealed; they go on. Those that are gone are left out.

        Waits for the shards.
        """

    def park(self, notes: Sequence[tuple[SaId, bytes]], /) -> list[tuple[SaId, bytes]]:
        """Stop, and all IKE SAs with their notes, sealed. Their peers hear nothing. Waits for the shards."""

    def plug(self, ip: Ip, up: bool) -> None:
        """Pull the cable of a local address (`up=False`), or plug it in again."""

    def stop(self) -> None:
        """Stop the threads and wait for them; the second time nothing happens."""

@final
class SimCore:
    """One shard without sockets, threads, clock or entropy: the caller brings datagrams, time and chance.

    Sans-IO, for simulations. What it wants to send and to tell waits until it is taken. `now` is in nanoseconds and
    must never go back.
    """

    def __new__(
        cls,
        *,
        seed: bytes,
        ike_port: int = 500,
        natt_port: int = 4500,
        plane: str = "userspace",
        always_encap: bool = True,
        cookie_threshold: int = 1_000,
        max_half_open: int = 50_000,
        prefix_limits: Mapping[str, int] | None = None,
        puzzle_limits: Mapping[str, int] | None = None,
        hardest_solved: int = 20,
        half_open_lifetime: int = 30_000_000_000,
        max_sas: int = 1 << 20,
        store_key: bytes | None = None,
    ) -> SimCore:
        """All that chance decides follows from `seed` (32 bytes). The rest is as with `Core`.

        `plane="kernel"`: ESP is done here, from the moment on in which `ChildInstalled` is submitted.
        """

    def submit(self, orders: Iterable[Command | Operation], now: Nanos, /) -> None:
        """Give orders, all or none: ValueError or TypeError names the one that makes no sense; nothing is done then."""

    def handle_datagram(self, now: Nanos, over: Path, data: bytes, /) -> None:
        """A datagram came in over this path, as it is on the wire."""

    def handle_unreachable(self, now: Nanos, over: Path, quoted: bytes, /) -> None:
        """Somebody says that a datagram of ours over this path cannot be delivered, and quotes its beginning (ICMP)."""

    def handle_timeout(self, now: Nanos, /) -> None:
        """`poll_timeout` has passed."""

    def poll_timeout(self) -> Nanos | None:
        """When `handle_timeout` wants to be called; None if nothing waits."""

    def told_by(self) -> list[tuple[CoreEvent | PlaneEvent | Question | ChildOrder, bool, int]]:
        """Of the events that were taken last: those that came of an exchange, whether we asked, and its message id."""

    def take_events(self, limit: int, /) -> list[CoreEvent | PlaneEvent | Question | ChildOrder]:
        """At most `limit` events, oldest first."""

    def has_events(self) -> bool:
        """Do events wait?"""

    def take_in_streams(self) -> list[tuple[Path, bytes, Literal["ike", "esp"], int, bool]]:
        """All that wants to leave in streams (RFC 9329), oldest first: path, octets without their length, what they
        carry, the place of the IKE SA whose stream it is, and whether it went this way before."""

    def handle_message(self, now: Nanos, over: Path, data: bytes, /) -> int | None:
        """A message came in over a stream on this path. The place of the IKE SA that is on it now; None if none is."""

    def stream_opened(self, now: Nanos, place: int, over: Path, /) -> None:
        """A stream for the IKE SA in this place is open."""

    def stream_lost(self, now: Nanos, place: int, over: Path, /) -> None:
        """A stream that was opened for the IKE SA in this place ended."""

    def stream_use(self, place: int, over: Path, /) -> Literal["gone", "left", "half-open", "in-use"]:
        """What the IKE SA in this place does with a stream on this path."""

    def may_open_stream(self, place: int, /) -> bool:
        """May a stream be opened for the IKE SA in this place? Its initiator may."""

    def take_transmits(self) -> list[tuple[Path, bytes, Literal["ike", "esp", "keepalive"]]]:
        """All datagrams that want to leave, oldest first: path, octets as on the wire, and what they carry."""

    def inner_send(self, now: Nanos, packets: Sequence[bytes], /) -> int:
        """Plain packets into the tunnels; how many found a way. The rest is dropped and counted."""

    def inner_take(self, limit: int, /) -> list[bytes]:
        """At most `limit` plain packets out of the tunnels."""

    def changed(self, limit: int, /) -> list[SaId]:
        """IKE SAs that changed since they were last told; at most `limit`."""

    def records(self, asked: Sequence[tuple[SaId, bytes]], /, *, in_order: bool) -> list[tuple[SaId, bytes]]:
        """These IKE SAs with their notes, sealed. `in_order`: this core ends now, and they go on in another."""

    def resume(self, now: Nanos, records: Sequence[tuple[bytes, bool]], /) -> list[tuple[SaId, str | None]]:
        """Take IKE SAs back, each with whether it is stale: their ids, and why one was not taken back."""

    def plane_path(self, sa: SaId, /) -> Path | None:
        """Where the data plane sends the Child SAs of this IKE SA; None if it has none."""

    def counters(self) -> dict[str, int]:
        """Everything counted so far, by name: `ike_`, `esp_`, `io_`."""

    def child_counters(self, child: ChildId, /) -> dict[str, int] | None:
        """What a Child SA has carried; None if there is none, or no userspace plane."""

    def exchanges(self, sa: SaId, /) -> tuple[Exchange, ...] | None:
        """The last exchanges of an IKE SA; None if it is not there."""

@final
class SealedKeys:
    """Keys of one Child SA in both directions, as `mobike.dataplane.operations.SealedKeys` says."""

    def lengths(self) -> tuple[int, int]:
        """Octets of a direction: of encryption with the salt behind it, and of integrity."""

    def write(
        self, buffer: bytearray, /, *, inbound: bool, encryption_at: int, integrity_at: int | None = None
    ) -> None:
        """Put the keys of a direction into `buffer`, at these offsets. ValueError: they do not fit, or are wiped."""

    def wipe(self) -> None:
        """Forget them now."""

def check_ike_proposal(text: str, /) -> str:
    """The proposal as it is written in full; ValueError names the part that is wrong."""

def check_esp_proposal(text: str, /) -> str:
    """The proposal as it is written in full; ValueError names the part that is wrong."""

def check_identity(text: str, /) -> str:
    """The identity as it is written in full; ValueError says why it is none."""

def check_identity_pattern(text: str, /) -> str:
    """As `check_identity`, but `*`, `*@example.net` and `*.example.net` are allowed too."""

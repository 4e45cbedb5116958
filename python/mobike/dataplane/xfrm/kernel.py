"""The one socket: steps out, some dozens in a send; answers in, every one of them. Decides nothing.

The kernel works while it is sent to: when `send` returns, everything is done and all answers wait. Nothing here blocks
longer than that. Octets that keys were in are overwritten at once.
"""

import ctypes
import errno
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from struct import Struct
from typing import Final

from mobike.dataplane.operations import SealedKeys, Volumes
from mobike.dataplane.xfrm import uapi
from mobike.dataplane.xfrm.answers import AnswersLostError, Done, KernelUnusableError, Refusal, plain
from mobike.dataplane.xfrm.fresh import step_by_step
from mobike.dataplane.xfrm.plan import Holding
from mobike.dataplane.xfrm.prepared import plain_child, write_first, write_second
from mobike.dataplane.xfrm.read import Answer, Message, answer_of, keys_of, messages, policy_of, sa_of
from mobike.dataplane.xfrm.state import (
    BOUND_JUMP,
    BOUND_OCTETS,
    BOUND_PACKETS,
    MOST_CALM_OCTETS,
    MOST_CALM_PACKETS,
    SEQUENCE_JUMP,
    Counters,
    PolicySeen,
    Sa,
    SaName,
    SaSeen,
)
from mobike.dataplane.xfrm.steps import (
    AddSa,
    Advance,
    Bound,
    Calm,
    DropPolicy,
    DropSa,
    Migrate,
    MigrateState,
    PutPolicy,
    Read,
    Restore,
    Retune,
    Step,
    Take,
)
from mobike.dataplane.xfrm.uapi import Msg
from mobike.dataplane.xfrm.wire import Batch, Keys, with_sent

FRESH_STEPS: Final = 4
"""Of a Child SA with one selector, before its policy out."""

STEPS_PER_SEND: Final = 64
"""More gain nothing, and their answers must fit into the buffer if all are refused."""

ANSWER_BUFFER: Final = 4 << 20
"""Octets of answers that may wait: those of a send, however long they are, and those of a dump."""

_LONGEST: Final = 1 << 16
"""Octets of the longest datagram: dumps come in pieces of 32 KiB at most."""

_PATIENCE_S: Final = 2.0
"""For an answer that should be there already; a kernel that takes longer is not answering at all."""


class Kernel:
    """A socket of NETLINK_XFRM, in the network namespace that it was opened in."""

    def __init__(self, *, knows_direction: bool = False) -> None:
        self.knows_direction = knows_direction
        self._socket = open_socket(ANSWER_BUFFER)
        self._socket.settimeout(_PATIENCE_S)
        self.port = int(self._socket.getsockname()[0])
        """What the kernel says did a thing that this socket did."""
        self._number = 1
        self._buffer = bytearray(_LONGEST)
        self._taken: dict[SaName, _Taken] = {}

    def close(self) -> None:
        """Forget what was taken and not put back, and close."""
        for taken in self._taken.values():
            taken.wipe()
        self._taken.clear()
        self._socket.close()

    def run(self, steps: Sequence[Step], keys: Mapping[int, SealedKeys], /) -> Done:
        """Carry out `steps` in order; one that is refused stops no other. `keys` by Child SA, of those to add."""
        done = Done()
        numbered = iter(enumerate(steps))
        while chunk := list(islice(numbered, STEPS_PER_SEND)):
            batch = self._batch()
            for place, step in chunk:
                batch.owner = place
                self._write(batch, step, keys, done)
            if batch.owners:
                self._exchange(batch, steps, done)
        return done

    def run_fresh(self, wanted: Sequence[Holding], keys: Mapping[int, SealedKeys], /) -> tuple[int, Done]:
        """As `Carries` has it; what is like most is filled in."""
        names = [plain_child(want) for want in wanted]
        if FRESH_STEPS * len(wanted) > STEPS_PER_SEND or not keys.keys() >= set(names):
            return step_by_step(self.run, wanted, keys)
        done, batch, rest = Done(), self._batch(), []
        for place, (name, want) in enumerate(zip(names, wanted, strict=True)):
            batch.owner = FRESH_STEPS * place
            rest.append(write_first(batch, want, keys[name]))
        self._exchange(batch, (), done)
        if done.refusals:
            return 0, done
        batch = self._batch()
        for place, second in enumerate(rest):
            batch.owner = place
            write_second(batch, second)
        self._exchange(batch, (), done)
        return 1, done

    def look(self, wanted: Sequence[tuple[SaName, Sa]], /) -> dict[SaName, SaSeen]:
        """These SAs as they are now; those that are gone are left out."""
        found: dict[SaName, SaSeen] = {}
        rest = iter(wanted)
        while chunk := list(islice(rest, STEPS_PER_SEND)):
            batch = self._batch()
            for place, (_, sa) in enumerate(chunk):
                batch.owner = place
                batch.get_sa(sa)
            for owner, message in self._answers(batch):
                if message.kind == Msg.NEWSA and (seen := sa_of(message.body)) is not None:
                    found[chunk[owner][0]] = seen
        return found

    def ask(self, write: Callable[[Batch], None]) -> Answer:
        """One message, and its answer; for probes."""
        batch = self._batch()
        write(batch)
        batch.ask_for_answer()
        last = batch.first + len(batch.owners) - 1
        self._send(batch)
        for message in self._incoming():
            if message.kind == uapi.NLMSG_ERROR and message.sequence == last:
                return answer_of(message)
        raise AnswersLostError

    def sas(self) -> list[SaSeen]:
        """All SAs for ESP in tunnel mode, whoever made them."""
        return [seen for message in self._dump(Msg.GETSA) if (seen := sa_of(message.body)) is not None]

    def policies(self) -> list[PolicySeen]:
        """All policies, but for those of sockets."""
        return [seen for message in self._dump(Msg.GETPOLICY) if (seen := policy_of(message.body)) is not None]

    def _batch(self) -> Batch:
        return Batch(first=self._number, knows_direction=self.knows_direction, port=self.port)

    def _write(self, batch: Batch, step: Step, keys: Mapping[int, SealedKeys], done: Done) -> None:
        match step:
            case PutPolicy(policy, fresh):
                batch.put_policy(policy, fresh=fresh)
            case AddSa(name, sa) if name.child in keys:
                batch.new_sa(sa, _writer(keys[name.child], inbound=name.inbound))
            case AddSa():
                done.refusals[batch.owner] = Refusal(errno.ENOKEY, "")
            case Retune(_, sa):
                batch.update_sa(sa)
            case MigrateState(_, was, sa):
                batch.migrate_state(was, sa)
            case Migrate(_, was, sa):
                batch.migrate(was, sa)
            case Take(_, sa):
                batch.get_sa(sa)
                batch.delete_sa(sa)
            case Restore() | Bound() | Advance():
                self._write_from_taken(batch, step, done)
            case Read(_, sa) | Calm(_, sa):
                batch.get_sa(sa)
            case DropSa(_, sa):
                batch.delete_sa(sa)
            case DropPolicy(key):
                batch.delete_policy(key)

    def _write_from_taken(self, batch: Batch, step: Restore | Bound | Advance, done: Done) -> None:
        """Those that go on from what was read before."""
        match step:
            case Restore(name, sa):
                self._restore(batch, name, sa, done)
            case Bound(name, sa):
                self._bound(batch, name, sa, done)
            case Advance(name, sa):
                self._advance(batch, name, sa, done)

    def _restore(self, batch: Batch, name: SaName, sa: Sa, done: Done) -> None:
        taken = self._taken.pop(name, None)
        if taken is None:
            done.refusals[batch.owner] = Refusal(errno.ENOKEY, "")
            return
        counters = _ahead(taken.counters, sa)
        if counters is None:
            done.refusals[batch.owner] = Refusal(errno.EOVERFLOW, "")
        else:
            batch.new_sa(sa, taken.write, counters, carried=taken.seen)
        taken.wipe()

    def _bound(self, batch: Batch, name: SaName, sa: Sa, done: Done) -> None:
        taken = self._taken.get(name)
        if taken is None:
            done.refusals[batch.owner] = Refusal(errno.ENOKEY, "")
            return
        taken.jump = BOUND_JUMP
        seen = taken.seen
        limits = Volumes(hard_bytes=seen.octets + BOUND_OCTETS, hard_packets=seen.packets + BOUND_PACKETS)
        batch.update_sa(sa._replace(volumes=limits))

    def _advance(self, batch: Batch, name: SaName, sa: Sa, done: Done) -> None:
        taken = self._taken.pop(name, None)
        counters = None if taken is None else _ahead(taken.counters, sa, taken.jump)
        if counters is None:
            done.refusals[batch.owner] = Refusal(errno.EOVERFLOW, "")
        else:
            batch.advance(sa, counters)

    def _exchange(self, batch: Batch, steps: Sequence[Step], done: Done) -> None:
        for owner, message in self._answers(batch):
            if message.kind == Msg.NEWSA:
                self._take(steps[owner], message, done)
                if isinstance(step := steps[owner], Calm) and not self._is_calm(step.name, done):
                    done.refusals[owner] = Refusal(errno.EBUSY, "")
            elif message.kind == uapi.NLMSG_ERROR:
                answer = answer_of(message)
                if answer.error:
                    done.refusals.setdefault(owner, Refusal(answer.error, answer.words))

    def _answers(self, batch: Batch) -> Iterator[tuple[int, Message]]:
        """All answers to a batch, with what they are for. The last message is always answered."""
        batch.ask_for_answer()
        first, owners = batch.first, list(batch.owners)
        self._send(batch)
        for message in self._incoming():
            place = message.sequence - first
            if not 0 <= place < len(owners):
                continue  # of a batch whose answers were given up
            yield owners[place], message
            if place == len(owners) - 1 and message.kind == uapi.NLMSG_ERROR:
                return

    def _take(self, step: Step, message: Message, done: Done) -> None:
        seen = sa_of(message.body)
        if seen is None or not isinstance(step, Take | Read | Calm):
            return
        done.seen[step.name] = seen
        if isinstance(step, Calm):
            return
        with_keys = isinstance(step, Take) or step.keys
        if step.name.inbound and not with_keys:
            return
        keys = keys_of(message.body) if with_keys else (b"", b"")
        self._taken[step.name] = _Taken(seen, bytearray(keys[0]), bytearray(keys[1]))

    def _is_calm(self, name: SaName, done: Done) -> bool:
        """Was little sent since it was read? Then it counts as read now."""
        now, taken = done.seen.get(name), self._taken.get(name)
        if now is None or taken is None:
            return False
        packets, octets = now.packets - taken.seen.packets, now.octets - taken.seen.octets
        taken.seen, taken.counters = now, now.counters
        return packets <= MOST_CALM_PACKETS and octets <= MOST_CALM_OCTETS

    def _dump(self, what: Msg) -> Iterator[Message]:
        batch = self._batch()
        batch.dump(what)
        number = batch.first
        self._send(batch)
        for message in self._incoming():
            if message.sequence != number:
                continue
            if message.kind in (uapi.NLMSG_DONE, uapi.NLMSG_ERROR):
                answer = answer_of(message)
                if answer.error:
                    raise KernelUnusableError(answer.error, plain(answer.error, answer.words))
                return
            yield message

    def _send(self, batch: Batch) -> None:
        self._number = batch.first + len(batch.owners)
        if self._number > 1 << 31:
            self._number = 1
        try:
            self._socket.send(batch.buffer)
        except OSError as error:
            raise KernelUnusableError(error.errno, f"the kernel takes no messages: {error.strerror}") from error
        finally:
            batch.wipe()

    def _incoming(self) -> Iterator[Message]:
        """What comes in. Each datagram is overwritten before the next one, and at the end."""
        while True:
            try:
                size = self._socket.recv_into(self._buffer)
            except TimeoutError as error:
                raise AnswersLostError("the kernel did not answer") from error
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self._drain()
                    raise AnswersLostError("answers were lost: the buffer of the socket was full") from error
                raise
            try:
                yield from messages(memoryview(self._buffer)[:size])
            finally:
                self._buffer[:size] = bytes(size)

    def _drain(self) -> None:
        """After an overflow the kernel keeps silent until nothing waits any more."""
        self._socket.setblocking(False)
        try:
            while True:
                try:
                    size = self._socket.recv_into(self._buffer)
                except BlockingIOError:
                    return
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                else:
                    self._buffer[:size] = bytes(size)
        finally:
            self._socket.settimeout(_PATIENCE_S)


class _Taken:
    """The keys and counters of an SA between two messages."""

    __slots__ = ("_encryption", "_integrity", "counters", "jump", "seen")

    def __init__(self, seen: SaSeen, encryption: bytearray, integrity: bytearray) -> None:
        self.seen = seen
        self.counters = seen.counters
        self.jump = SEQUENCE_JUMP
        self._encryption = encryption
        self._integrity = integrity

    def write(self, buffer: bytearray, encryption_at: int, integrity_at: int | None, /) -> None:
        buffer[encryption_at : encryption_at + len(self._encryption)] = self._encryption
        if integrity_at is not None:
            buffer[integrity_at : integrity_at + len(self._integrity)] = self._integrity

    def wipe(self) -> None:
        for key in (self._encryption, self._integrity):
            key[:] = bytes(len(key))


def open_socket(room: int, groups: Sequence[uapi.Group] = (), program: bytes = b"") -> socket.socket:
    """A socket of NETLINK_XFRM with this much room for what comes in, and a filter (`earplugs`).

    KernelUnusableError says why there is none.
    """
    try:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, uapi.NETLINK_XFRM)
    except OSError as error:
        raise KernelUnusableError(error.errno, plain(error.errno or 0, "")) from error
    try:
        made.bind((0, 0))
        _make_room(made, room)
        for option in (uapi.NETLINK_CAP_ACK, uapi.NETLINK_EXT_ACK):
            made.setsockopt(uapi.SOL_NETLINK, option, 1)
        if program:
            _attach(made, program)
        for group in groups:
            made.setsockopt(uapi.SOL_NETLINK, uapi.NETLINK_ADD_MEMBERSHIP, group)
    except OSError as error:
        made.close()
        raise KernelUnusableError(error.errno, plain(error.errno or 0, "")) from error
    return made


_SO_RCVBUFFORCE: Final = 33


def _make_room(made: socket.socket, room: int) -> None:
    try:
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, room)
    except PermissionError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)


_SO_ATTACH_FILTER: Final = 26
_SOCK_FPROG: Final = Struct("@HP")
_OCTETS_OF_INSTRUCTION: Final = 8


def _attach(made: socket.socket, program: bytes) -> None:
    kept = ctypes.create_string_buffer(program, len(program))
    place = ctypes.addressof(kept)
    count = len(program) // _OCTETS_OF_INSTRUCTION
    made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _SOCK_FPROG.pack(count, place))


def _writer(keys: SealedKeys, *, inbound: bool) -> Keys:
    def write(buffer: bytearray, encryption_at: int, integrity_at: int | None, /) -> None:
        keys.write(buffer, inbound=inbound, encryption_at=encryption_at, integrity_at=integrity_at)

    return write


def _ahead(counters: Counters, sa: Sa, jump: int = SEQUENCE_JUMP) -> Counters | None:
    """The counters to go on with; None: there are no more sequence numbers."""
    if sa.inbound:
        return counters
    try:
        return with_sent(counters, jump, esn=sa.suite.esn)
    except ValueError:
        return None

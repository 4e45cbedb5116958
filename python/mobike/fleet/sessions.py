"""All sessions: by id, by local address, and in pages. Nothing here grows with anything but the number of SAs."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from mobike.address import Endpoint, Ip, Pair, Path, SaId
from mobike.events import Role
from mobike.mobility.session import Session
from mobike.mobility.states import State, Updating

MOST_SHARED = 65_536
"""Objects kept to be shared. Behind that, each session has its own."""

_NOBODY: frozenset[SaId] = frozenset()


class Sessions:
    """The index. Sets hold ids, not sessions: their order is then the same in every replay."""

    def __init__(self) -> None:
        self._by_id: dict[SaId, Session] = {}
        self._locals: dict[Endpoint, Endpoint] = {}
        """Our own endpoints, shared. They are few, and never forgotten, so that their identity can be a key."""
        self._users: dict[int, set[SaId]] = {}
        """By identity of a local endpoint: hashing an address costs as much as all the rest of a step."""
        self._counts: dict[str, int] = {}
        self._initiators: dict[str, dict[SaId, None]] = {}
        """Our own SAs by connection."""
        self._in_order: list[SaId] | None = None
        self._paths: dict[Path, Path] = {}
        self._words: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_id.values())

    def ids(self) -> list[SaId]:
        return list(self._by_id)

    def get(self, sa: SaId) -> Session | None:
        return self._by_id.get(sa)

    def count(self, connection: str) -> int:
        return self._counts.get(connection, 0)

    def of_connection(self, connection: str) -> list[Session]:
        return [each for each in self._by_id.values() if each.connection.name == connection]

    def an_initiator(self, connection: str) -> Session | None:
        """The oldest SA that we began there."""
        ours = self._initiators.get(connection)
        return self._by_id[next(iter(ours))] if ours else None

    def a_prober(self, connection: str) -> Session | None:
        """The oldest SA that we began there and whose peer knows path probes."""
        ours = (self._by_id[sa] for sa in self._initiators.get(connection, ()))
        return next((each for each in ours if each.probes), None)

    def users(self, ip: Ip) -> list[Session]:
        """Sessions that use this local address, or are moving to it."""
        ours = [self._users.get(id(each), _NOBODY) for each in self._locals if each.ip == ip]
        return [self._by_id[sa] for sa in dict.fromkeys(chain.from_iterable(ours))]

    def count_users(self, ip: Ip) -> int:
        return sum(len(self._users.get(id(each), _NOBODY)) for each in self._locals if each.ip == ip)

    def on_pair(self, pair: Pair) -> list[Session]:
        return [each for each in self.users(pair.local) if each.path.remote.ip == pair.remote or _asks(each, pair)]

    def add(self, session: Session) -> None:
        self._by_id[session.sa] = session
        name = session.connection.name
        self._counts[name] = self._counts.get(name, 0) + 1
        self._use(session.path.local, session.sa)
        if session.role is Role.INITIATOR:
            self._initiators.setdefault(name, {})[session.sa] = None
        self._in_order = None

    def remove(self, sa: SaId) -> Session | None:
        session = self._by_id.pop(sa, None)
        if session is None:
            return None
        self._counts[session.connection.name] -= 1
        if session.role is Role.INITIATOR:
            del self._initiators[session.connection.name][sa]
        self._leave(session.path.local, sa)
        if session.target is not None:
            self._leave(session.target.local, sa)
        self._in_order = None
        return session

    def moved(self, session: Session, path: Path, state: State) -> None:
        """A step is done: `path` and `state` are what this session had before."""
        was, was_to = path.local, (state.path if isinstance(state, Updating) else path).local
        now, now_to = session.path.local, (session.target or session.path).local
        if now is not was and now is not was_to:
            self._use(now, session.sa)
        if now_to is not now and now_to is not was and now_to is not was_to:
            self._use(now_to, session.sa)
        if was is not now and was is not now_to:
            self._leave(was, session.sa)
        if was_to is not was and was_to is not now and was_to is not now_to:
            self._leave(was_to, session.sa)

    def moved_together(self, group: Sequence[Session], was: Endpoint) -> None:
        """The same for sessions that were stable on one local end, and stepped alike."""
        now, to = group[0].path.local, (group[0].target or group[0].path).local
        ids = [session.sa for session in group]
        for end in (now, to):
            if end is not was:
                self._users.setdefault(id(end), set()).update(ids)
        if was is not now and was is not to:
            self._users[id(was)].difference_update(ids)

    def page(self, after: SaId | None, limit: int, connection: str | None) -> tuple[list[Session], SaId | None]:
        """At most `limit` sessions behind `after`, in order of id; and where the next page begins behind."""
        if self._in_order is None:
            self._in_order = sorted(self._by_id)
        found: list[Session] = []
        start = 0 if after is None else bisect_right(self._in_order, after)
        for sa in islice(self._in_order, start, None):
            session = self._by_id[sa]
            if connection is not None and session.connection.name != connection:
                continue
            if len(found) == limit:
                return found, found[-1].sa
            found.append(session)
        return found, None

    def share_local(self, endpoint: Endpoint) -> Endpoint:
        """The one object for this endpoint of ours. The local end of a session's path always comes from here."""
        return self._locals.setdefault(endpoint, endpoint)

    def share_path(self, path: Path) -> Path:
        """The one object for a path to a peer that we called: very many SAs may go to few gateways."""
        if len(self._paths) >= MOST_SHARED:
            return Path(self.share_local(path.local), path.remote, path.transport)
        known = self._paths.get(path)
        if known is None:
            known = self._paths[path] = Path(self.share_local(path.local), path.remote, path.transport)
        return known

    def share_word(self, word: str) -> str:
        """The one object for the name of a suite."""
        if len(self._words) >= MOST_SHARED:
            return word
        return self._words.setdefault(word, word)

    def _use(self, local: Endpoint, sa: SaId) -> None:
        users = self._users.get(id(local))
        if users is None:
            users = self._users[id(local)] = set()
        users.add(sa)

    def _leave(self, local: Endpoint, sa: SaId) -> None:
        self._users[id(local)].discard(sa)


def _asks(session: Session, pair: Pair) -> bool:
    return isinstance(session.state, Updating) and session.state.path.pair == pair

"""The last attempts of each peer: what is kept, what it says, and that strangers cannot fill it."""

from collections.abc import Callable
from ipaddress import ip_address

import pytest

from mobike.address import Endpoint, Path, SaId, Token
from mobike.attempts import AttemptBook, Ending, Fault
from mobike.attempts.attempt import Attempt
from mobike.attempts.book import KEPT, MOST_ADDRESSES, MOST_OF_A_SITE
from mobike.attempts.reading import Whose
from mobike.commands import Connect, Profile
from mobike.events import Comparison, ConnectFailed, Event, IkeSaUp, Nat, Notice, Role, Row
from mobike.fleet.notes import Note

PROFILE = Profile(
    name="office",
    local_id="alice@example.net",
    remote_id="gw.example.net",
    psk=b"not told",
    ike_proposals=("aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-x25519"),
    esp_proposals=("aes256gcm16",),
    local_ts=(),
    remote_ts=("10.1.0.0/16",),
    request_ip4=True,
)
SUITES = Comparison(
    "no-proposal",
    None,
    None,
    (
        Row("encryption", ("aes256",), ("aes256gcm16", "aes128gcm16"), fits=False),
        Row("integrity", ("sha256",), (), fits=False),
        Row("PRF", ("prfsha256",), ("prfsha256",), fits=True),
        Row("key exchange", ("modp2048",), ("x25519",), fits=False),
    ),
)


def path(remote: str = "198.51.100.7", port: int = 500) -> Path:
    return Path(Endpoint(ip_address("192.0.2.1"), port), Endpoint(ip_address(remote), port))


def refused(remote: str = "198.51.100.7", compared: Comparison | None = SUITES, kind: str = "no_proposal") -> Notice:
    text = "IKE_SA_INIT refused: offered aes256-sha256; we accept aes256gcm16"
    return Notice(kind, text, None, path(remote), compared)


def up(remote: str = "198.51.100.7", *, role: Role = Role.RESPONDER, token: Token | None = None) -> IkeSaUp:
    ends = path(remote, 4500)
    suite = "aes128gcm16-prfsha256-x25519"
    return IkeSaUp(SaId(7), token, "office", role, ends, Nat.NONE, "bob@example.net", True, (), (), 1, 2, suite)


def book(whose: Callable[[SaId], Whose | None] = lambda _: None) -> AttemptBook:
    return AttemptBook({"office": PROFILE}.get, whose)


def told(*events: Event, notes: tuple[Note, ...] = ()) -> AttemptBook:
    """Of one connection that we began, and of what came of it."""
    kept = book()
    kept.see((), [Connect(Token(1), "office", (path("203.0.113.1"),), 4500)], (), 99.0)
    kept.see(events, (), notes, 100.0)
    return kept


def only(kept: AttemptBook, peer: str | None = None) -> Attempt:
    (attempt,) = kept.of(peer, 10)
    return attempt


def test_a_peer_that_was_refused_is_found_by_its_address_with_both_sides_and_the_fix() -> None:
    attempt = only(told(refused()), "198.51.100.7")
    assert (attempt.ending, attempt.by_us, attempt.step) == (Ending.REFUSED, False, "IKE_SA_INIT")
    assert (attempt.lines[0].what, attempt.lines[0].fits) == ("encryption", False)
    assert attempt.fault is Fault.BOTH
    assert attempt.fix == (
        'let the peer offer aes256gcm16-prfsha256-x25519; or add "aes256-sha256-prfsha256-modp2048" to `ike` of the'
        " connection here"
    )
    assert told(refused()).of("198.51.100.8", 10) == []


@pytest.mark.parametrize("name", ["type1:12", "3des"])
def test_what_we_do_not_have_is_for_the_peer_to_change(name: str) -> None:
    row = Row("encryption", (name,), ("aes256gcm16",), fits=False)
    attempt = only(told(refused(compared=Comparison("no-proposal", None, None, (row,)))))
    assert (attempt.fault, attempt.fix) == (
        Fault.PEER,
        f"let the peer offer aes256gcm16: mobike does not have {name}",
    )


REASONS = [
    ("wrong-identity", Row("peer identity", ("eve@x",), ("*@example.net",), fits=False), 'remote_id = "eve@x"'),
    ("wrong-identity", Row("our identity", ("gw2",), ("gw.example.net",), fits=False), 'local_id = "gw2"'),
    ("wrong-method", Row("authentication", ("EAP",), ("pre-shared key",), fits=False), 'remote_auth = "eap"'),
    ("bad-auth", Row("proof", ("no",), (), fits=False), "the pre-shared keys differ"),
    ("wrong-address", None, "allow_remote"),
    ("connected", None, 'unique = "keep"'),
    ("no-ppk", None, "ppk_required"),
]


@pytest.mark.parametrize(("reason", "row", "fix"), REASONS)
def test_each_reason_of_a_refused_proof_has_its_fix(reason: str, row: Row | None, fix: str) -> None:
    compared = Comparison(reason, "office", "eve@x", () if row is None else (row,))
    attempt = only(told(refused(compared=compared, kind="auth_failed")), "EVE@X")
    assert attempt.fix is not None
    assert fix in attempt.fix
    assert "not told" not in str(attempt)


def failed(why: str, reason: str, compared: Comparison | None = None) -> ConnectFailed:
    return ConnectFailed(Token(1), why, (path("203.0.113.1"),), None, compared, reason)


ENDS = [
    ("no answer for 165.0 s", "no-answer", "IKE_SA_INIT", Fault.NETWORK, "nothing came back from 203.0.113.1"),
    (
        "no usable answer for 8.1 s; last heard: NO_PROPOSAL_CHOSEN",
        "no-usable-answer",
        "IKE_SA_INIT",
        Fault.BOTH,
        "add one of its own to `ike` of [connections.office]",
    ),
    (
        "peer refused our authentication",
        "peer-refused-auth",
        "IKE_AUTH",
        Fault.BOTH,
        'it must know local_id "alice@example.net"',
    ),
    ("no Child SA: peer refuses it: TS_UNACCEPTABLE", "no-child-sa", "IKE_AUTH", Fault.BOTH, "local_ts and remote_ts"),
    ("peer answered NO_PROPOSAL_CHOSEN", "peer-error", "IKE_AUTH", Fault.BOTH, "to `esp` of [connections.office]"),
    (
        "no Child SA: peer refuses it: FAILED_CP_REQUIRED",
        "no-child-sa",
        "IKE_AUTH",
        Fault.HERE,
        'virtual_ip = ["ipv4"]',
    ),
]


@pytest.mark.parametrize(("why", "reason", "step", "fault", "fix"), ENDS)
def test_what_we_began_is_found_by_its_connection(why: str, reason: str, step: str, fault: Fault, fix: str) -> None:
    attempt = only(told(failed(why, reason)), "office")
    assert (attempt.by_us, attempt.ending, attempt.step, attempt.fault) == (True, Ending.FAILED, step, fault)
    assert attempt.fix is not None
    assert fix in attempt.fix
    assert only(told(failed(why, reason)), "203.0.113.1") == attempt


def test_what_the_peer_refused_stands_beside_what_we_offered() -> None:
    algorithms = only(told(failed("no usable answer for 8.1 s; last heard: NO_PROPOSAL_CHOSEN", "no-usable-answer")))
    (line,) = algorithms.lines
    assert (line.ours, line.theirs) == (PROFILE.ike_proposals, ("refused: NO_PROPOSAL_CHOSEN",))
    here, there = only(told(failed("no Child SA: peer refuses it: TS_UNACCEPTABLE", "no-child-sa"))).lines
    assert (here.ours, there.ours) == (("the inner address",), ("10.1.0.0/16",))


def test_what_was_ordered_or_sent_on_is_no_attempt_that_failed() -> None:
    assert told(failed("stopped by us: down", "ordered")).of(None, 10) == []
    assert told(failed("sent on", "redirected")).of(None, 10) == []


def test_who_cannot_even_begin_says_why() -> None:
    note = Note("connect-failed", "Cannot connect: no local address can be used", (), None, "office")
    attempt = only(told(notes=(note,)), "office")
    assert (attempt.step, attempt.fault, attempt.why) == ("none", Fault.HERE, note.text)


def test_the_same_again_is_counted_and_something_else_stands_beside_it() -> None:
    kept = told(refused())
    kept.see([refused(), refused()], (), (), 105.0)
    attempt = only(kept)
    assert (attempt.times, attempt.since, attempt.at) == (3, 100.0, 105.0)
    kept.see([refused(kind="auth_failed", compared=None)], (), (), 106.0)
    assert [each.times for each in kept.of(None, 10)] == [1, 3]


def test_a_peer_that_comes_up_after_all_is_told_and_one_that_never_failed_is_not() -> None:
    kept = told(refused())
    kept.see([up(), up("198.51.100.9")], (), (), 110.0)
    assert [(str(each.peer), each.ending) for each in kept.of(None, 10)] == [
        ("198.51.100.7", Ending.UP),
        ("198.51.100.7", Ending.REFUSED),
    ]
    assert kept.of("bob@example.net", 10)[0].sa == 7


def test_of_one_moment_what_came_later_stands_first() -> None:
    kept = told(refused())
    kept.see([up(), refused(kind="child_refused", compared=None)], (), (), 110.0)
    assert [each.ending for each in kept.of(None, 2)] == [Ending.REFUSED, Ending.UP]


def test_a_refusal_of_an_established_peer_names_its_connection() -> None:
    kept = book(lambda _: Whose("office", "bob@example.net", Role.RESPONDER))
    asked = Comparison("traffic", None, None, (Row("traffic here", ("10.9.0.0/24",), ("10.1.0.0/16",), fits=False),))
    text = "CREATE_CHILD_SA refused: no traffic selector is acceptable"
    kept.see([Notice("child_refused", text, SaId(7), path(), asked)], (), (), 1.0)
    attempt = only(kept, "bob@example.net")
    assert (attempt.step, attempt.connection, attempt.ending) == ("CREATE_CHILD_SA", "office", Ending.REFUSED)
    assert attempt.fix is not None
    assert "add that to local_ts of [connections.office]" in attempt.fix
    assert only(kept, f"{7:016x}") == attempt


def test_a_peer_that_refuses_one_of_our_child_sas_is_ours_to_explain() -> None:
    kept = book(lambda _: Whose("office", "gw.example.net", Role.INITIATOR))
    notice = Notice("child_refused", "Child SA voice is refused: TS_UNACCEPTABLE", SaId(7), path())
    kept.see([notice], (), (), 1.0)
    attempt = only(kept, "office")
    assert (attempt.by_us, attempt.ending, attempt.step) == (True, Ending.FAILED, "CREATE_CHILD_SA")


def test_a_peer_has_a_few_and_strangers_have_a_limit_that_costs_nobody_else() -> None:
    kept = told(failed("no answer for 165.0 s", "no-answer"), refused("198.51.100.7"))
    for number in range(3 * MOST_OF_A_SITE):
        kept.see([refused(f"203.0.113.{number % 250}")], (), (), 200.0 + number)
    assert len(kept.of(None, 5000)) == MOST_OF_A_SITE + 2
    assert kept.of("198.51.100.7", 1), "a flood from one place pushes out its own"
    for number in range(2 * MOST_ADDRESSES):
        kept.see([refused(f"10.{number // 250}.{number % 250}.1")], (), (), 1000.0 + number)
    assert len(kept.of(None, 5000)) == MOST_ADDRESSES + 1
    assert kept.of("office", 1), "ours are never pushed out"
    for number in range(3 * KEPT):
        kept.see([refused(compared=Comparison("bad-auth", None, f"who{number}", ()), kind="auth_failed")], (), (), 1e5)
    assert len(kept.of("198.51.100.7", 100)) == KEPT

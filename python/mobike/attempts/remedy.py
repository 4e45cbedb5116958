"""The one-line fix: what to change, and where. Told by the reason and by the first part that did not fit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from mobike.attempts.attempt import Attempt, Fault, Line
from mobike.commands import Profile

_HOPELESS: Final = ("type", "3des", "null", "nointeg", "md5", "prfmd5", "aesxcbc", "prfaesxcbc", "modp768", "modp1536")
"""Of algorithms that we do not have: only the peer can change. Numbers without a name begin with `type`."""

_WEAK: Final = ("sha1", "prfsha1", "modp1024")
_Told = tuple[Fault, str]


def remedy(attempt: Attempt, orders: Profile | None) -> Attempt:
    """The same attempt with what to do about it."""
    make = _REMEDIES.get(attempt.reason)
    if make is None:
        return attempt
    fault, fix = make(attempt, orders)
    return replace(attempt, fault=fault, fix=fix)


def first_difference(attempt: Attempt) -> Line | None:
    return next((line for line in attempt.lines if not line.fits), None)


def _where(attempt: Attempt) -> str:
    return "the connection" if attempt.connection is None else f"[connections.{attempt.connection}]"


def _no_proposal(attempt: Attempt, orders: Profile | None) -> _Told:
    bad = [line for line in attempt.lines if not line.fits]
    if not bad:
        return Fault.BOTH, "let both ends name the same algorithms"
    key = "ike" if attempt.step == "IKE_SA_INIT" else "esp"
    wanted = _suite(attempt.lines, lambda line: line.ours)
    offered = _suite(attempt.lines, lambda line: line.theirs)
    theirs = f"let the peer offer {wanted or 'more'}"
    first = bad[0]
    if not first.theirs:
        return Fault.BOTH, f"{theirs}: it offers no {first.what}"
    if any(name.startswith(_HOPELESS) or name in _HOPELESS for line in bad for name in line.theirs[:1]):
        return Fault.PEER, f"{theirs}: mobike does not have {first.theirs[0]}"
    weak = any(name in _WEAK for name in offered.split("-"))
    add = f'add "{offered}" to `{key}` of {_where(attempt)} here'
    return Fault.BOTH, f"{theirs}; or{', weak as it is,' if weak else ''} {add}"


def _suite(lines: tuple[Line, ...], of: Callable[[Line], tuple[str, ...]]) -> str:
    """One suite as in the configuration, of the first name of each kind."""
    kinds = ("encryption", "integrity", "PRF", "key exchange", *(f"key exchange {place}" for place in range(1, 8)))
    by_kind = {line.what: of(line) for line in lines}
    names = [by_kind[kind][0] for kind in kinds if by_kind.get(kind)]
    return "-".join(name for name in names if not name.startswith("no"))


def _identity(attempt: Attempt, orders: Profile | None) -> _Told:
    line = first_difference(attempt)
    said = line.theirs[0] if line and line.theirs else "nothing"
    ours = ", ".join(line.ours[:3]) if line else ""
    if attempt.by_us:
        return Fault.BOTH, f'the peer is {said}: set remote_id = "{said}" in {_where(attempt)}, or correct the peer'
    if line is not None and line.what == "our identity":
        return (
            Fault.BOTH,
            f'the peer asks for {said}: set local_id = "{said}" in {_where(attempt)}, or let it ask for {ours}',
        )
    return (
        Fault.BOTH,
        f'give a connection remote_id = "{said}", or let the peer call itself {ours or "as one of ours says"}',
    )


def _method(attempt: Attempt, orders: Profile | None) -> _Told:
    line = first_difference(attempt)
    said = line.theirs[0] if line and line.theirs else "nothing"
    words = {"pre-shared key": "psk", "signature": "cert", "EAP": "eap"}
    wanted = line.ours[0] if line and line.ours else "another"
    if said not in words:
        return Fault.PEER, f"let the peer use: {wanted}"
    return Fault.BOTH, f'set remote_auth = "{words[said]}" in {_where(attempt)}, or let the peer use: {wanted}'


def _secret(attempt: Attempt, orders: Profile | None) -> _Told:
    if orders is not None and (orders.remote_certificate or orders.remote_keys or orders.remote_eap):
        return Fault.PEER, "the peer's proof is not good: look at its key, and at what is between the two ends"
    return (
        Fault.BOTH,
        f"the pre-shared keys differ: compare psk of {_where(attempt)} with the peer's, to the last octet",
    )


def _peer_refused(attempt: Attempt, orders: Profile | None) -> _Told:
    who = "our local_id" if orders is None else f'local_id "{orders.local_id}"'
    return Fault.BOTH, f"ask the peer's log; it must know {who} of {_where(attempt)}, and our key or certificate"


def _traffic(attempt: Attempt, orders: Profile | None) -> _Told:
    line = first_difference(attempt)
    if attempt.by_us:
        return Fault.BOTH, f"name in local_ts and remote_ts of {_where(attempt)} what the peer's configuration names"
    if line is None:
        return Fault.BOTH, f"compare local_ts and remote_ts of {_where(attempt)} with the peer's"
    key = "local_ts" if line.what == "traffic here" else "remote_ts"
    asked, ours = ", ".join(line.theirs[:3]) or "nothing", ", ".join(line.ours[:3]) or "nothing"
    return Fault.BOTH, f"the peer asks for {asked}: add that to {key} of {_where(attempt)}, or let it ask for {ours}"


def _no_answer(attempt: Attempt, orders: Profile | None) -> _Told:
    return (
        Fault.NETWORK,
        f"nothing came back from {attempt.peer}: is it up, and do UDP 500 and 4500 pass on the way (mobike doctor)?"
        " Where they do not, TCP may: transport",
    )


def _peer_no_proposal(attempt: Attempt, orders: Profile | None) -> _Told:
    line = first_difference(attempt)
    key = "esp" if line is not None and line.what == "ESP algorithms" else "ike"
    return Fault.BOTH, f"the peer takes none of these: add one of its own to `{key}` of {_where(attempt)}"


def _said(fault: Fault, text: str) -> Callable[[Attempt, Profile | None], _Told]:
    """`{}`: where."""
    return lambda attempt, _: (fault, text.format(_where(attempt)))


_REMEDIES: Final[dict[str, Callable[[Attempt, Profile | None], _Told]]] = {
    # we refused
    "no-proposal": _no_proposal,
    "wrong-identity": _identity,
    "wrong-method": _method,
    "bad-auth": _secret,
    "no-certificate": _said(Fault.PEER, "let the peer send its certificate (strongSwan: send_cert = always)"),
    "unknown-key": _said(Fault.BOTH, "add the peer's public key to remote_keys of {}"),
    "too-many-certificates": _said(Fault.PEER, "let the peer send its own certificate and those that it rests on"),
    "signature": _said(Fault.PEER, "the peer's signature is not good: does its key fit its certificate?"),
    "cannot-sign": _said(Fault.BOTH, "the peer knows no signature of our key: give {} another local_key"),
    "denied": _said(Fault.BOTH, "the line above says what is wrong with the peer's proof; remote_ca, its certificate"),
    "undecided": _said(
        Fault.HERE, "the authoriser, or the server that is asked about peers of {}, did not answer in time"
    ),
    "incomplete": _said(Fault.PEER, "the peer leaves a payload out: look at its version and its log"),
    "wrong-address": _said(Fault.BOTH, "add the address to allow_remote or allow_local of {}"),
    "no-ppk": _said(Fault.BOTH, "give the peer the PPK, by the ppk_id of {}; or set ppk_required = false"),
    "eap": _said(Fault.PEER, "let the peer use an EAP method that `eap` of {} names"),
    "connected": _said(Fault.NOBODY, 'unique = "keep": the peer must end its other IKE SA first, or set unique in {}'),
    "orders-changed": _said(Fault.NOBODY, "the configuration changed meanwhile; the peer will try again"),
    "traffic": _traffic,
    "no-address": _said(Fault.HERE, "no inner address is free for it: enlarge `pool` of {}"),
    "address-not-asked-for": _said(Fault.PEER, "let the peer ask for an inner address (strongSwan: vips = 0.0.0.0)"),
    "no-room": _said(Fault.HERE, "a limit is reached: [limits] max_ike_sas, most_children of {}"),
    "limit": _said(Fault.HERE, "too many ask at once: [limits]; /metrics tells how many are dropped"),
    "unexpected-nat": _said(Fault.NETWORK, "a NAT is on the way: set nat_traversal = true in {}, at both ends"),
    "address-refused": _said(Fault.BOTH, "add the address to allow_remote or allow_local of {}"),
    # we asked
    "no-answer": _no_answer,
    "no-path": _said(Fault.HERE, "no link of this host leads to the peer: ip route; [[links.rules]]; mobike doctor"),
    "NO_PROPOSAL_CHOSEN": _peer_no_proposal,
    "INVALID_KE_PAYLOAD": _peer_no_proposal,
    "AUTHENTICATION_FAILED": _peer_refused,
    "TS_UNACCEPTABLE": _traffic,
    "SINGLE_PAIR_REQUIRED": _traffic,
    "INTERNAL_ADDRESS_FAILURE": _said(
        Fault.PEER, "the peer has no inner address for us: its pool is empty, or not for us"
    ),
    "FAILED_CP_REQUIRED": _said(
        Fault.HERE, 'the peer wants us to ask for an inner address: virtual_ip = ["ipv4"] in {}'
    ),
    "NO_ADDITIONAL_SAS": _said(Fault.PEER, "the peer has reached a limit of its own"),
    "INVALID_SYNTAX": _said(Fault.PEER, "the peer did not understand our message: look at its log"),
}

"""The secrets of swanctl.conf, and which one a connection uses."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mobike.swanctl.findings import Finding, Taker
from mobike.swanctl.tree import Section
from mobike.swanctl.words import identity_of

_ID: Final = re.compile(r"id.*")
_LOST: Final = {
    "ntlm": "there are no NT hashes here; give the password itself",
    "private": "a key with a passphrase is not opened here; store it without one, chmod 600",
    "rsa": "a key with a passphrase is not opened here; store it without one, chmod 600",
    "ecdsa": "a key with a passphrase is not opened here; store it without one, chmod 600",
    "pkcs8": "a key with a passphrase is not opened here; store it without one, chmod 600",
    "pkcs12": "there are no PKCS#12 containers here; take certificate and key out of it, as PEM",
    "token": "there are no tokens here",
}
_KINDS: Final = {"ike": "ike", "eap": "eap", "xauth": "eap", "ppk": "ppk"}


@dataclass(slots=True)
class Secret:
    """One of them, and whether a connection took it."""

    name: str
    ids: tuple[str, ...]
    text: str = field(repr=False)
    taker: Taker = field(repr=False)
    used: list[str] = field(default_factory=list)
    """Where it went."""


@dataclass(slots=True)
class Secrets:
    """All that can be used here, by kind."""

    ike: list[Secret] = field(default_factory=list)
    eap: list[Secret] = field(default_factory=list)
    ppk: list[Secret] = field(default_factory=list)
    _ike_of: dict[str, list[Secret]] = field(default_factory=dict, repr=False)
    """By identity; the empty one: those that are for anybody."""

    def near(self, local: str, remote: str) -> list[Secret]:
        """Those of `ike` that may fit both ends: there may be as many as there are peers."""
        if remote.startswith("*"):
            return self.ike
        if not self._ike_of:
            for secret in self.ike:
                for name in {identity_of(each).lower() for each in secret.ids} or {""}:
                    self._ike_of.setdefault(name, []).append(secret)
        found = [each for name in ("", local.lower(), remote.lower()) for each in self._ike_of.get(name, ())]
        return list({id(each): each for each in found}.values())

    def finish(self) -> None:
        """Those that no connection took are told."""
        for secret in (*self.ike, *self.eap, *self.ppk):
            keys = [key for key in secret.taker.section.values if key == "secret" or _ID.fullmatch(key)]
            for key in keys:
                if secret.used:
                    secret.taker.mapped(key, ", ".join(dict.fromkeys(secret.used)))
                else:
                    secret.taker.lost(key, "no connection that was imported uses it")
            secret.taker.finish({})


def read_secrets(section: Section | None, findings: list[Finding]) -> Secrets:
    """The section `secrets`."""
    secrets = Secrets()
    for name, each in section.sections.items() if section else ():
        taker = Taker(each, f"secrets.{name}", findings)
        kind = next((kind for kind in _KINDS if name.startswith(kind)), None)
        if kind is None:
            lost = next(
                (why for prefix, why in _LOST.items() if name.startswith(prefix)), "there is no such kind of secret"
            )
            for key in each.values:
                taker.lost(key, lost)
            continue
        ids = tuple(value.text for key, value in each.values.items() if _ID.fullmatch(key))
        secret: Secret = Secret(name, ids, taker.peek("secret"), taker)
        {"ike": secrets.ike, "eap": secrets.eap, "ppk": secrets.ppk}[_KINDS[kind]].append(secret)
    return secrets


def best(secrets: list[Secret], local: str, remote: str, matches: Callable[[str, str], bool]) -> list[Secret]:
    """Those that fit both ends, the most specific ones: for the peer by name, then for us, then for anybody. Where the
    peer may be one of many, each of them counts that fits one of these."""

    def rank(secret: Secret) -> int:
        for_peer = any(matches(remote, each) for each in secret.ids)
        for_us = any(matches(local, each) for each in secret.ids)
        return 2 * for_peer + for_us if secret.ids else -1

    fitting = [(rank(secret), secret) for secret in secrets if not secret.ids or rank(secret) > 0]
    if remote.startswith("*"):
        return [secret for _, secret in fitting]
    most = max((each for each, _ in fitting), default=0)
    return [secret for each, secret in fitting if each == most]


def texts(secrets: list[Secret]) -> Iterator[tuple[str, str]]:
    """User and password of each."""
    return ((user, secret.text) for secret in secrets for user in secret.ids)

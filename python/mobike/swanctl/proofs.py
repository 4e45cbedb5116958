"""How both ends of a connection prove who they are: the sections `local` and `remote`, and the secrets they need."""

import re
from typing import Final

from mobike.swanctl.context import Context, Table, switch
from mobike.swanctl.findings import Taker
from mobike.swanctl.keys import LOCAL, REMOTE, RESTRICTIONS
from mobike.swanctl.secrets import Secret, best, texts
from mobike.swanctl.words import identity_of, words

_CERT: Final = re.compile(r"cert.*")
_CACERT: Final = re.compile(r"cacert.*")
_PUBLIC_KEY: Final = re.compile(r"(?:ike:)?(?:pubkey|rsa|ecdsa|ed25519)(?:[-/].*)?")


def map_proofs(name: str, table: Table, taker: Taker, context: Context, *, initiates: bool) -> None:
    """The keys of both ends."""
    local = _round(taker, "local")
    remote = _round(taker, "remote")
    ours = _method(local, initiates=initiates, end="local")
    theirs = _method(remote, initiates=initiates, end="remote")
    table["local_auth"], table["remote_auth"] = ours[0], theirs[0]
    _identities(table, local, remote, context)
    if "psk" in {ours[0], theirs[0]}:
        _psk(name, table, local, context)
    if ours[0] == "cert" or "eap-tls" in {ours[1], theirs[1]}:
        _own_certificate(table, local, context)
    if theirs[0] == "cert" or "eap-tls" in {ours[1], theirs[1]}:
        _authorities(table, remote, context)
    if theirs[0] == "key":
        table["remote_keys"] = [context.folder.path("pubkey", word) for word in words(remote.peek("pubkeys"))]
        remote.mapped("pubkeys", "remote_keys")
    _eap(name, table, local, remote, context, initiates=initiates)
    _ppk(name, table, taker, context)
    local.finish(LOCAL)
    remote.finish(REMOTE)


def _round(taker: Taker, end: str) -> Taker:
    """The one section of an end."""
    found = [(name, each) for name, each in taker.section.sections.items() if name.startswith(end)]
    if len(found) != 1:
        reason = (
            f"has no section {end}" if not found else f"has {len(found)} rounds of authentication (RFC 4739) of {end}"
        )
        raise taker.refuse("", reason)
    name, section = found[0]
    return Taker(section, f"{taker.path}.{name}", taker.findings)


def _method(taker: Taker, *, initiates: bool, end: str) -> tuple[str, str]:
    """Our word, and that of EAP's method."""
    said = taker.peek("auth") or "pubkey"
    method = said.split(":")[0] if said.startswith("eap") else ""
    if said == "psk":
        taker.mapped("auth", f"{end}_auth")
        return "psk", ""
    if _PUBLIC_KEY.fullmatch(said):
        ours = "key" if end == "remote" and taker.peek("pubkeys") else "cert"
        if said == "pubkey":
            taker.mapped("auth", f"{end}_auth")
        else:
            reason = "kinds and sizes of keys are not chosen: RSA from 2048 bits, P-256, P-384, Ed25519, with SHA-2"
            taker.changed("auth", f"{end}_auth", reason)
        return ours, ""
    if method in {"eap-mschapv2", "eap-tls"} and (end == "local") == initiates:
        if method == said:
            taker.mapped("auth", f"{end}_auth")
        else:
            taker.changed("auth", f"{end}_auth", "kinds and sizes of keys are not chosen")
        return "eap", method
    if method == "eap-radius":
        raise taker.refuse("auth", 'the servers of RADIUS stand in strongswan.conf: say eap = ["radius"] and radius')
    if method == "eap" and end == "local" and initiates:
        taker.changed("auth", "local_auth", "of the methods of EAP MSCHAPv2 alone is answered")
        return "eap", "eap-mschapv2"
    raise taker.refuse("auth", f"{said} is not known at this end")


def _identities(table: Table, local: Taker, remote: Taker, context: Context) -> None:
    ours = identity_of(local.peek("id"))
    if ours:
        try:
            context.checks.check_identity(ours)
        except ValueError as problem:
            raise local.refuse("id", str(problem)) from None
        table["local_id"] = ours
        local.mapped("id", "local_id")
    elif table["local_auth"] == "cert":
        local.changed("id", "", "not said: it was the subject of the certificate, here it is its first other name")
    else:
        raise local.refuse("id", "is not said: it was the address, and here it must be said")
    theirs = identity_of(remote.peek("id")) or "*"
    try:
        context.checks.check_identity_pattern(theirs)
    except ValueError as problem:
        raise remote.refuse("id", str(problem)) from None
    table["remote_id"] = theirs
    remote.mapped("id", "remote_id", "" if remote.peek("id") else "not said: anybody")
    for key in RESTRICTIONS:
        if remote.peek(key):
            raise remote.refuse(key, REMOTE[key][1])


def _psk(name: str, table: Table, local: Taker, context: Context) -> None:
    ours, theirs = table.get("local_id", ""), table["remote_id"]

    def matches(pattern: str, written: str) -> bool:
        identity = identity_of(written) or "*"
        if identity == ours and pattern != ours:
            return False
        return pattern.lower() == identity.lower() or (
            pattern.startswith("*") and identity.lower().endswith(pattern[1:].lower())
        )

    fitting = best(context.secrets.near(ours, theirs), ours, theirs, matches)
    if len({secret.text for secret in fitting}) != 1 or not fitting[0].text:
        reason = (
            "no ike secret fits" if not fitting else "several ike secrets fit: give each peer a connection of its own"
        )
        raise local.refuse("auth", reason)
    _only_whom_it_is_for(table, fitting, local)
    table["psk_file"] = _put(context, f"{name}.psk", fitting, f"connections.{name}.psk_file")


def _only_whom_it_is_for(table: Table, fitting: list[Secret], local: Taker) -> None:
    """A secret with names is for those peers alone, also where the connection would take anybody."""
    theirs = table["remote_id"]
    if not theirs.startswith("*") or not all(secret.ids for secret in fitting):
        return
    named = [identity_of(each) for secret in fitting for each in secret.ids]
    peers = [each for each in dict.fromkeys(named) if each and each != table.get("local_id")]
    if not peers:
        return
    if len(peers) > 1:
        raise local.refuse("auth", "the ike secret is for several peers by name: give each a connection of its own")
    table["remote_id"] = peers[0]
    local.changed("auth", "remote_id", f"the ike secret is for {peers[0]} alone")


def _put(context: Context, file: str, secrets: list[Secret], to: str) -> str:
    context.files[file] = secrets[0].text + "\n"
    for secret in secrets:
        secret.used.append(to)
    return file


def _own_certificate(table: Table, local: Taker, context: Context) -> None:
    said = [context.folder.path("x509", word) for word in words(local.peek("certs"))]
    said += _of_sections(local, _CERT)
    certificates = said or list(context.folder.key_of)
    if not said and len(certificates) != 1:
        raise local.refuse("certs", "are not said, and in x509 there is not exactly one with a key")
    key = context.folder.key_of.get(certificates[0])
    if key is None:
        raise local.refuse(
            "certs", f"no key without passphrase in private, rsa, ecdsa, pkcs8 belongs to {certificates[0]}"
        )
    table["local_cert"], table["local_key"] = certificates[0], key
    if len(certificates) > 1:
        local.changed("certs", "local_cert", "one certificate is shown, whatever the peer asks for: the first")
    else:
        local.mapped("certs", "local_cert", "" if said else "the one in x509 that has a key")


def _authorities(table: Table, remote: Taker, context: Context) -> None:
    said = [context.folder.path("x509ca", word) for word in words(remote.peek("cacerts"))]
    said += _of_sections(remote, _CACERT)
    files = said or context.authorities
    if not files:
        raise remote.refuse("cacerts", "there is no authority, neither here nor in x509ca")
    table["remote_ca"] = files
    remote.mapped("cacerts", "remote_ca", "" if said else "all that are in x509ca")
    lists = context.folder.names.get("x509crl", ())
    if lists:
        table["remote_crl"] = [context.folder.path("x509crl", name) for name in lists]
    match remote.peek("revocation").lower():
        case "" | "relaxed":
            if remote.peek("revocation"):
                remote.mapped("revocation", "remote_ocsp")
        case "strict":
            table["remote_ocsp"] = "require"
            remote.changed("revocation", "remote_ocsp", "a good OCSP response must come with the certificate")
        case _:
            raise remote.refuse("revocation", "nothing is fetched here: say strict, or relaxed")


def _of_sections(taker: Taker, pattern: re.Pattern[str]) -> list[str]:
    """Files of certificates that have sections of their own."""
    found = []
    for name, section in taker.section.sections.items():
        if not pattern.fullmatch(name):
            continue
        inner = Taker(section, f"{taker.path}.{name}", taker.findings)
        if not inner.peek("file"):
            raise inner.refuse("", "is on a token, and there are no tokens here")
        found.append(inner.peek("file"))
        inner.mapped("file", "local_cert" if name.startswith("cert") else "remote_ca")
        inner.finish({})
    return found


def _eap(name: str, table: Table, local: Taker, remote: Taker, context: Context, *, initiates: bool) -> None:
    client, server = (local, remote) if initiates else (remote, local)
    method = client.peek("auth").split(":")[0]
    identity = client.peek("eap_id")
    if not method.startswith("eap"):
        if identity:
            client.lost("eap_id", "there is no EAP at this end")
        return
    if server.peek("eap_id"):
        server.lost("eap_id", "the server of EAP has no identity of its own")
    table["eap"] = ["tls" if method == "eap-tls" else "mschapv2"]
    if initiates and identity:
        table["eap_identity"] = identity
        client.mapped("eap_id", "eap_identity")
    elif identity == "%any":
        client.mapped("eap_id", reason="the peer is asked")
    elif identity:
        raise client.refuse("eap_id", "here every user of eap_users may in, not one in particular")
    if method == "eap-tls":
        return
    if not initiates:
        _users(table, client, context, name)
        return
    wanted = identity or table["local_id"]
    fitting = [secret for secret in context.secrets.eap if wanted in secret.ids]
    fitting = fitting or [secret for secret in context.secrets.eap if not secret.ids]
    if not fitting or not fitting[0].text:
        raise client.refuse("auth", f"no eap secret is for {wanted}")
    table["eap_password_file"] = _put(context, f"{name}.password", fitting[:1], f"connections.{name}.eap_password_file")


def _users(table: Table, client: Taker, context: Context, name: str) -> None:
    if not dict(texts(context.secrets.eap)):
        raise client.refuse("auth", "there is no eap secret with an id")
    if any(secret.text.startswith(("0x", "0s")) for secret in context.secrets.eap):
        raise client.refuse("auth", "an eap secret is written as octets; here passwords are text")
    table["eap_users"] = "users.toml"
    for secret in context.secrets.eap:
        if secret.ids:
            secret.used.append(f"connections.{name}.eap_users")


def _ppk(name: str, table: Table, taker: Taker, context: Context) -> None:
    wanted = taker.peek("ppk_id")
    required = switch(taker, "ppk_required")
    if wanted:
        fitting = [secret for secret in context.secrets.ppk if wanted in secret.ids or not secret.ids]
        if not fitting or not fitting[0].text:
            raise taker.refuse("ppk_id", f"no ppk secret is for {wanted}")
        table["ppk_id"] = wanted
        table["ppk_file"] = _put(context, f"{name}.ppk", fitting[:1], f"connections.{name}.ppk_file")
        taker.mapped("ppk_id", "ppk_id")
    if required is not None:
        if required and not wanted:
            raise taker.refuse("ppk_required", "without ppk_id any PPK of the peer would do; here one is named")
        if wanted:
            table["ppk_required"] = required
        taker.mapped("ppk_required", "ppk_required")

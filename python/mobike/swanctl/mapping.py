"""The tree of swanctl.conf into tables of ours, with a finding about each value. Pure: the disk was read before."""

from dataclasses import dataclass, field
from typing import Any, Final

from mobike.config.checks import Checks
from mobike.swanctl.connection import map_connection
from mobike.swanctl.context import Context, Table
from mobike.swanctl.files import Folder
from mobike.swanctl.findings import Finding, Kind, Taker, Unmappable
from mobike.swanctl.keys import AUTHORITY
from mobike.swanctl.pools import Pools
from mobike.swanctl.secrets import read_secrets, texts
from mobike.swanctl.tree import Section, effective
from mobike.swanctl.writer import write_users

_ROOTS: Final = frozenset({"connections", "secrets", "pools", "authorities"})
_FOLDERS: Final = {
    "x509aa": "there are no attribute certificates here",
    "x509ac": "there are no attribute certificates here",
    "x509ocsp": "an OCSP response of a peer is signed by its authority, or by whom that names",
    "pkcs12": "there are no PKCS#12 containers here; take certificate and key out of it, as PEM",
    "bliss": "there are no BLISS keys here",
}


@dataclass(slots=True)
class Imported:
    """What is to be written, and what became of everything."""

    connections: dict[str, Table] = field(default_factory=dict)
    pools: dict[str, Table] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict, repr=False)
    """Files with secrets, by name."""
    findings: list[Finding] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Finding]:
        return [each for each in self.findings if each.kind is kind]

    def document(self) -> dict[str, Any]:
        tables = (each for table in self.connections.values() for each in (table, *table.get("child", ())))
        apart = any(each.get("mode") == "transport" for each in tables)
        of_plane = {"dataplane": {"kind": "kernel"}} if apart else {}
        return {**of_plane, "pools": self.pools, "connections": self.connections}


def map_tree(tree: Section, folder: Folder, checks: Checks) -> Imported:
    """All of it. SwanctlError where sections inherit what is not there, or from themselves."""
    whole = effective(tree)
    made = Imported()
    secrets = read_secrets(whole.sections.get("secrets"), made.findings)
    authorities = _authorities(whole.sections.get("authorities"), folder, made.findings)
    pools = Pools(whole.sections.get("pools"), made.findings)
    context = Context(folder, checks, secrets, pools, authorities)
    taken: set[str] = set()
    connections = whole.sections.get("connections")
    for name, section in connections.sections.items() if connections else ():
        taker = Taker(section, f"connections.{name}", made.findings)
        ours = _name(name, taken)
        kept = pools.kept()
        begin = len(made.findings)
        try:
            made.connections[ours] = map_connection(ours, taker, context)
        except Unmappable:
            made.findings[begin:] = [each for each in made.findings[begin:] if each.kind is Kind.UNSUPPORTED]
            context.forget(ours)
            pools.restore(kept)
            continue
        taken.add(ours)
        if ours != name:
            taker.changed("", f"connections.{ours}", "names have letters, digits, '.', '_' and '-'")
    made.pools = pools.tables
    made.files = context.files
    if any("eap_users" in table for table in made.connections.values()):
        made.files["users.toml"] = write_users(dict(texts(secrets.eap)))
    pools.finish()
    secrets.finish()
    _rest(tree, whole, folder, made.findings)
    _sweep(whole, made.findings)
    return made


def _name(name: str, taken: set[str]) -> str:
    safe = "".join(letter if (letter.isascii() and letter.isalnum()) or letter in "._-" else "-" for letter in name)[
        :60
    ]
    safe = safe if safe[:1].isalnum() else f"x{safe}"
    unique, number = safe, 1
    while unique in taken:
        number += 1
        unique = f"{safe}-{number}"
    return unique


def _authorities(section: Section | None, folder: Folder, findings: list[Finding]) -> list[str]:
    """Files of authorities that every connection trusts."""
    found = [folder.path("x509ca", name) for name in folder.names.get("x509ca", ())]
    for name, each in section.sections.items() if section else ():
        taker = Taker(each, f"authorities.{name}", findings)
        for key in ("cacert", "file"):
            if taker.peek(key):
                found.append(folder.path("x509ca", taker.peek(key)))
                taker.mapped(key, "remote_ca")
        taker.finish(AUTHORITY)
    return list(dict.fromkeys(found))


def _sweep(whole: Section, findings: list[Finding]) -> None:
    """Whatever has no finding until now: in a connection that was not imported, or in sections of no meaning."""
    told = {finding.key for finding in findings}
    for name in sorted(_ROOTS & whole.sections.keys()):
        for path, section in whole.sections[name].walk((name,)):
            for key, value in section.values.items():
                full = ".".join((*path, key))
                if full not in told:
                    reason = "is in a part of the file that was not imported"
                    findings.append(Finding(Kind.UNSUPPORTED, value.place, full, "", reason))


def _rest(tree: Section, whole: Section, folder: Folder, findings: list[Finding]) -> None:
    """Sections that nobody reads, and files that nobody can use."""
    referred = {reference.name[0] for _, section in tree.walk() for reference in section.references}
    Taker(whole, "", findings).finish({})
    for name in _ROOTS & whole.sections.keys():
        Taker(whole.sections[name], name, findings).finish({})
    for name, section in tree.sections.items():
        if name in _ROOTS or name in referred:
            continue
        message = "is no section that strongSwan reads, and nothing refers to it"
        findings.append(Finding(Kind.UNSUPPORTED, section.place, name, "", message))
    for kind, reason in _FOLDERS.items():
        for file in folder.names.get(kind, ()):
            findings.append(Finding(Kind.UNSUPPORTED, tree.place, f"{kind}/{file}", "", reason))

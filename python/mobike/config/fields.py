"""The types of single values: text in, meaning out, and one line of reason where that fails."""

import os.path
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, ValidationInfo

from mobike.address import Ip
from mobike.commands import Pool
from mobike.config.checks import Checks
from mobike.config.durations import format_duration, parse_duration
from mobike.config.lifetimes import MOST
from mobike.config.marks import MARK_PATTERN, format_mark, parse_mark
from mobike.config.named import KEYS_OF_STORED, STORED
from mobike.config.octets import format_octets, parse_octets
from mobike.config.problems import nearest
from mobike.config.selectors import split_selector

MAX_POOL: Final = 1 << 24
"""Addresses of a pool that are used; as many as a shard can hold SAs."""


CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""The variable in which systemd tells a service where its credentials are (systemd.exec(5))."""

_CREDENTIAL: Final = "credential:"
_CREDENTIAL_NAME: Final = re.compile(r"(?!\.)[!-.0-~]{1,255}")
_HOST_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Context:
    """What validation needs from outside."""

    checks: Checks
    credentials: Path | None = None
    """Where systemd puts the credentials of the service."""
    stored: Mapping[str, str] | None = None
    """Credentials that the daemon keeps, and their kinds; None: the table is of a file, and names none of these."""
    folders: tuple[Path, ...] = ()
    """Whose files a table of the store may name; relative paths begin in the first."""


def _text(read: Callable[[str], object], pattern: str | None = None) -> PlainValidator:
    """A validator of strings: `read` makes the value or raises ValueError; `pattern` tells editors of JSON Schema."""

    def validate(value: Any) -> object:  # noqa: ANN401 - whatever TOML holds
        if not isinstance(value, str):
            raise ValueError("must be a string")  # noqa: TRY004 - pydantic collects ValueErrors only
        return read(value)

    return PlainValidator(validate, json_schema_input_type=Annotated[str, Field(pattern=pattern)])


def _judged(check: Callable[[Checks, str], object]) -> PlainValidator:
    """A validator of strings that the core judges."""

    def validate(value: Any, info: ValidationInfo) -> str:  # noqa: ANN401 - whatever TOML holds
        if not isinstance(value, str) or not value:
            raise ValueError("must be a string that is not empty")
        if not isinstance(info.context, Context):
            raise TypeError("validated without a Context")
        check(info.context.checks, value)
        return value

    return PlainValidator(validate, json_schema_input_type=Annotated[str, Field(min_length=1)])


def _read_file_name(text: str, info: ValidationInfo) -> str:
    """A path, or `credential:NAME` for one that systemd hands over, or `stored:NAME` for one that the daemon keeps."""
    if text.startswith(STORED):
        return _stored(text, info)
    if not text.startswith(_CREDENTIAL):
        return _within(text, info)
    name = text.removeprefix(_CREDENTIAL)
    if not _CREDENTIAL_NAME.fullmatch(name):
        raise ValueError("a credential has a name without slashes: credential:NAME, as in LoadCredential=NAME:PATH")
    if not isinstance(info.context, Context):
        raise TypeError("validated without a Context")
    if info.context.credentials is None:
        raise ValueError(f"there are no credentials: systemd sets {CREDENTIALS} for a service with LoadCredential=")
    return str(info.context.credentials / name)


def _within(text: str, info: ValidationInfo) -> str:
    """Who may configure connections over the API need not be who may read every file of this host. Links are followed:
    only who may write into such a folder makes one there."""
    context = info.context
    if not isinstance(context, Context) or context.stored is None:
        return text
    folders = [Path(os.path.abspath(each)) for each in context.folders]  # noqa: PTH100 - links are not looked into
    path = Path(os.path.abspath(folders[0] / text))  # noqa: PTH100
    if not any(path.is_relative_to(each) for each in folders):
        told = " or ".join(map(str, folders))
        fix = "make it a credential (stored:NAME), or let `folders` of [api] allow its folder"
        raise ValueError(f"{text} is not in {told}, and over the API no other file can be named: {fix}")
    return text


def _read_variable(name: str, info: ValidationInfo) -> str:
    """A variable of the environment: what the daemon's own holds is not for who calls from outside."""
    if isinstance(info.context, Context) and info.context.stored is not None:
        raise ValueError("over the API no variable of the environment can be named: make it a credential (stored:NAME)")
    return name


def _stored(text: str, info: ValidationInfo) -> str:
    name, takes = text.removeprefix(STORED), KEYS_OF_STORED.get(info.field_name or "")
    if not isinstance(info.context, Context):
        raise TypeError("validated without a Context")
    if info.context.stored is None or takes is None:
        raise ValueError(f"{text} is for what connections made over the API prove themselves by; name a file here")
    kind = info.context.stored.get(name)
    if kind is None:
        raise ValueError(f"there is no credential {name!r}{nearest(name, info.context.stored)}")
    if kind not in takes:
        raise ValueError(f"{text} is of the kind {kind}; this takes {' or '.join(sorted(takes))}")
    return text


def read_address(text: str) -> Ip:
    """An address. Names are refused, not resolved: what a name means changes, and it is asked where nobody checks."""
    try:
        address = ip_address(text)
    except ValueError:
        if _HOST_NAME.fullmatch(text):
            raise ValueError(f"{text!r} is a host name; write its addresses, names are not looked up") from None
        raise ValueError(f"{text!r} is no IP address") from None
    if getattr(address, "scope_id", None):
        raise ValueError(f"{text!r} has a zone; addresses of one link only cannot carry a tunnel")
    return address


def read_network(text: str) -> str:
    """A prefix, as the text that the core reads."""
    try:
        return str(ip_network(text))
    except ValueError as problem:
        if "host bits" in str(problem):
            raise ValueError(f"{text!r} has bits behind its length; did you mean {ip_network(text, False)}?") from None
        raise ValueError(f"{text!r} is no network like 10.1.0.0/16") from None


def read_selector(text: str) -> str:
    """A network and perhaps a protocol with its ports, as the text that the core reads."""
    network, upper = split_selector(text)
    return read_network(network) + upper


def read_pool(text: str) -> Pool:
    """`10.99.0.0/16` without its first and last address, or `10.99.0.10-10.99.0.99`."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    if dash:
        return _range(text, read_address(first), read_address(last))
    return _usable(ip_network(read_network(text)))


def _range(text: str, first: Ip, last: Ip) -> Pool:
    if first.version != last.version or int(first) > int(last):
        raise ValueError(f"{text!r} is no range: it must rise within one family")
    return Pool(first, min(int(last) - int(first) + 1, MAX_POOL))


def _usable(network: IPv4Network | IPv6Network) -> Pool:
    """Neither the network's own address nor IPv4's broadcast is leased."""
    if network.num_addresses <= 2:
        return Pool(network[0], network.num_addresses)
    held_back = 2 if network.version == 4 else 1
    return Pool(network[1], min(network.num_addresses - held_back, MAX_POOL))


def _read_tcp(text: str) -> tuple[str, int] | None:
    """`127.0.0.1:8650`; the empty string turns it off."""
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
        raise ValueError(f"{text!r} is not ADDRESS:PORT")
    address = read_address(host.removeprefix("[").removesuffix("]"))
    return str(address), int(port)


def _read_command(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever TOML holds
    """A program and its arguments, run as they are: no shell takes them apart."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) for word in value):
        raise ValueError('must be a list of strings like ["/usr/local/bin/moved", "--quietly"]')
    if value and not value[0].startswith("/"):
        raise ValueError(f"{value[0]!r} is no absolute path; a program is not searched for")
    if any("\0" in word for word in value):
        raise ValueError("has a NUL character")
    return tuple(value)


_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_DIGEST: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){1,64}")


def read_domain(text: str) -> str:
    """`corp.example`, in small letters."""
    name = text.removesuffix(".")
    if _DOMAIN.fullmatch(name) is None:
        raise ValueError(f"{text!r} is no domain name like corp.example")
    return name.lower()


def read_gateway(text: str) -> str:
    """An address, or a host name as the other end writes it."""
    return read_domain(text) if _HOST_NAME.fullmatch(text) else str(read_address(text))


def read_anchor(text: str) -> str:
    """A domain and its DS record: `corp.example 43547 8 2 B6225AB2..`."""
    words = text.split()
    if len(words) != 5 or _DIGEST.fullmatch(words[4]) is None:
        raise ValueError(f"{text!r} is no trust anchor like 'corp.example 43547 8 2 B6225AB2..'")
    for number, most in zip(words[1:4], (0xFFFF, 0xFF, 0xFF), strict=True):
        if not number.isascii() or not number.isdigit() or int(number) > most:
            raise ValueError(f"{number!r} in {text!r} is no number up to {most}")
    return " ".join((read_domain(words[0]), *words[1:]))


def _as(write: Callable[[Any], object]) -> PlainSerializer:
    """How the value is written in a file."""
    return PlainSerializer(write, when_used="json-unless-none")


def _write_pool(pool: Pool) -> str:
    return f"{pool.first}-{pool.first + (pool.count - 1)}"


def _write_tcp(place: tuple[str, int]) -> str:
    return f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}"


_DURATION: Final = r"^(0|([0-9]{1,9}(ms|s|m|h))+)$"
_OCTETS: Final = r"^(0|[0-9]{1,9}([kMGT]?B|[KMGT]iB))$"

Address: TypeAlias = Annotated[Ip, _text(read_address), _as(str)]
Network: TypeAlias = Annotated[str, _text(read_network)]
TrafficSelector: TypeAlias = Annotated[str, _text(read_selector)]
Gateway: TypeAlias = Annotated[str, _text(read_gateway)]
DomainName: TypeAlias = Annotated[str, _text(read_domain)]
TrustAnchor: TypeAlias = Annotated[str, _text(read_anchor)]
PoolRange: TypeAlias = Annotated[Pool, _text(read_pool), _as(_write_pool)]
Duration: TypeAlias = Annotated[int, _text(parse_duration, _DURATION), _as(format_duration)]
Octets: TypeAlias = Annotated[int, _text(parse_octets, _OCTETS), _as(format_octets)]
Packets: TypeAlias = Annotated[int, Field(ge=0, le=MOST)]
TcpAddress: TypeAlias = Annotated[tuple[str, int] | None, _text(_read_tcp), _as(_write_tcp)]
MarkText: TypeAlias = Annotated[tuple[int, int] | None, _text(parse_mark, MARK_PATTERN), _as(format_mark)]
IkeProposal: TypeAlias = Annotated[str, _judged(lambda checks, text: checks.check_ike_proposal(text))]
EspProposal: TypeAlias = Annotated[str, _judged(lambda checks, text: checks.check_esp_proposal(text))]
IdentityText: TypeAlias = Annotated[str, _judged(lambda checks, text: checks.check_identity(text))]
PatternText: TypeAlias = Annotated[str, _judged(lambda checks, text: checks.check_identity_pattern(text))]
HookCommand: TypeAlias = Annotated[
    tuple[str, ...], PlainValidator(_read_command, json_schema_input_type=list[str]), _as(list)
]
FileName: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_read_file_name)]
Variable: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_read_variable)]
Port: TypeAlias = Annotated[int, Field(ge=1, le=0xFFFF)]

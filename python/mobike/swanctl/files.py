"""The disk: swanctl.conf with what it includes, the folders of certificates beside it, and whose key is whose."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from mobike.swanctl.reader import Source, read
from mobike.swanctl.tree import Place, Section, SwanctlError

MAIN: Final = "swanctl.conf"
MAX_OCTETS: Final = 64 << 20
"""Of all files together."""
MAX_FILES: Final = 10_000
_KEYS: Final = ("private", "rsa", "ecdsa", "pkcs8")
_LISTED: Final = ("x509", "x509ca", "x509aa", "x509crl", "x509ocsp", "x509ac", "pubkey", "pkcs12", "bliss", *_KEYS)
_MAX_KEY: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Folder:
    """What lies beside the file."""

    root: Path
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Files of each folder of certificates and keys."""
    key_of: dict[str, str] = field(default_factory=dict)
    """The file of the private key of each certificate's file in `x509`; paths."""

    def path(self, folder: str, name: str) -> str:
        """What a name in the file means."""
        return str(self.root / folder / name)


def read_folder(path: Path) -> tuple[Section, Folder]:
    """The tree of a file, or of the swanctl.conf of a folder, and what lies beside it."""
    main = path / MAIN if path.is_dir() else path
    budget = _Budget()
    tree = read(budget.read(main, Place(str(main), 1)), budget.include)
    root = main.parent.absolute()
    names = {each: tuple(_files(root / each)) for each in _LISTED}
    folder = Folder(root, names)
    return tree, Folder(root, names, _keys(folder))


class _Budget:
    """Reads files until there are too many, or they are too long."""

    def __init__(self) -> None:
        self._octets = MAX_OCTETS
        self._files = MAX_FILES

    def include(self, pattern: str, place: Place) -> Sequence[Source]:
        full = str(Path(place.file).parent / pattern)
        return [self.read(Path(file), place) for file in sorted(glob(full)) if not Path(file).is_dir()]  # noqa: PTH207 - patterns of absolute paths

    def read(self, path: Path, place: Place) -> Source:
        self._files -= 1
        if self._files < 0:
            raise SwanctlError(place, f"includes more than {MAX_FILES} files")
        try:
            with path.open("rb") as file:
                content = file.read(self._octets + 1)
        except OSError as problem:
            raise SwanctlError(place, f"cannot read {path}: {problem.strerror}") from None
        self._octets -= len(content)
        if self._octets < 0:
            raise SwanctlError(place, f"{path}: more than {MAX_OCTETS >> 20} MiB in all")
        try:
            return Source(str(path), content.decode())
        except UnicodeDecodeError as problem:
            line = content.count(b"\n", 0, problem.start) + 1
            raise SwanctlError(Place(str(path), line), "is not UTF-8") from None


def _files(folder: Path) -> Iterator[str]:
    try:
        yield from sorted(each.name for each in folder.iterdir() if each.is_file() and each.name[0] != ".")
    except OSError:
        return


def _keys(folder: Folder) -> dict[str, str]:
    """Which private key belongs to which certificate: that whose public half is in it."""
    publics: dict[bytes, str] = {}
    for kind in _KEYS:
        for name in folder.names[kind]:
            public = _public_of_key(Path(folder.path(kind, name)))
            if public is not None:
                publics.setdefault(public, folder.path(kind, name))
    found = {}
    for name in folder.names["x509"]:
        path = folder.path("x509", name)
        public = _public_of_certificate(Path(path))
        if public in publics:
            found[path] = publics[public]
    return found


def _public_of_key(path: Path) -> bytes | None:
    try:
        key = load_pem_private_key(_content(path), None)
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (OSError, ValueError, TypeError):
        return None


def _public_of_certificate(path: Path) -> bytes | None:
    try:
        certificate = x509.load_pem_x509_certificate(_content(path))
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (OSError, ValueError):
        return None


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_KEY)

"""Words for algorithms. One proposal of strongSwan may hold several of a kind; ours holds one of each."""

import re
from itertools import product
from typing import Final

MOST: Final = 64
"""Proposals that one proposal may become."""

_SAME: Final = {
    "aes": "aes128",
    "aes128cbc": "aes128",
    "aes192cbc": "aes192",
    "aes256cbc": "aes256",
    "sha": "sha1",
    "sha2_256": "sha256",
    "sha2_384": "sha384",
    "sha2_512": "sha512",
    "curve25519": "x25519",
    "prfsha": "prfsha1",
}
_ICV: Final = {"64": "8", "96": "12", "128": "16", "": "16"}
_GCM: Final = re.compile(r"(aes(?:128|192|256)?gcm)(8|12|16|64|96|128|)")
_KINDS: Final = (
    (
        "cipher",
        re.compile(r"aes\d+|aes\d*(gcm|ccm|ctr|gmac).*|chacha.*|3des.*|camellia.*|cast.*|blowfish.*|des|null.*"),
    ),
    ("esn", re.compile(r"esn|noesn")),
    ("prf", re.compile(r"prf.*")),
    ("more", re.compile(r"ke[1-7]_.*")),
    ("exchange", re.compile(r"modp.*|ecp.*|x25519|x448|mlkem.*|ntru.*|newhope.*|none")),
)


def expand(text: str, *, ike: bool) -> list[str]:
    """The proposals of ours that a proposal of strongSwan stands for, in its order; ValueError: too many."""
    kinds: dict[str, list[str]] = {}
    for word in text.split("-"):
        name = _word(word.strip().lower())
        kind = next((kind for kind, pattern in _KINDS if pattern.fullmatch(name)), "integrity")
        # Each further key exchange is of a kind of its own.
        kind = name.split("_")[0] if kind == "more" else kind
        kinds.setdefault(kind, []).append(name)
    if ike:
        _prf_for_aead(kinds)
    count = 1
    for words in kinds.values():
        count *= len(words)
    if count > MOST:
        raise ValueError(f"stands for {count} proposals; {MOST} are the most")
    return ["-".join(word for word in words if word not in {"noesn", "none"}) for words in product(*kinds.values())]


def _word(word: str) -> str:
    gcm = _GCM.fullmatch(word)
    if gcm is not None:
        return f"{gcm[1].replace('aesgcm', 'aes128gcm')}{_ICV.get(gcm[2], gcm[2])}"
    return _SAME.get(word, word)


def _prf_for_aead(kinds: dict[str, list[str]]) -> None:
    """A hash beside a cipher that needs none says which PRF."""
    ciphers = kinds.get("cipher", [])
    aead = [cipher for cipher in ciphers if "gcm" in cipher or "ccm" in cipher or "chacha" in cipher]
    if ciphers and len(aead) == len(ciphers) and "integrity" in kinds:
        hashes = kinds.pop("integrity")
        kinds.setdefault("prf", [f"prf{each}" for each in hashes])

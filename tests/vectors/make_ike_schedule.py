"""Compute IKEv2 known answers without mobike: Python's hmac and hashlib, and the `cryptography` package.

Run `python tests/vectors/make_ike_schedule.py` to write `ike_schedule.json` beside this file; the output is the same
each time. `rust/ike/tests/crypto/crypto_schedule.rs` reads it. Section numbers are those of RFC 7296.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import count, product
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PRFS = {"prfsha256": hashlib.sha256, "prfsha384": hashlib.sha384, "prfsha512": hashlib.sha512}
CIPHERS = {"aes128gcm16": 16, "aes192gcm16": 24, "aes256gcm16": 32}  # octets of key
SALT_LEN = 4  # RFC 5282 section 7.1
METHODS = ("x25519", "ecp256")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Json = dict[str, object]


def noise(label: str, length: int) -> bytes:
    """Octets that look random and are the same in every run."""
    return hashlib.shake_256(label.encode()).digest(length)


def prf(name: str, key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, PRFS[name])


def prf_plus(name: str, key: bytes, seed: bytes, length: int) -> bytes:
    """Section 2.13."""
    stream, block = b"", b""
    for number in count(1):
        if len(stream) >= length:
            break
        block = prf(name, key, block + seed + bytes([number]))
        stream += block
    return stream[:length]


def cut(stream: bytes, *lengths: int) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield stream[start : start + length]
        start += length


@dataclass(frozen=True)
class KeyExchange:
    private_i: bytes
    private_r: bytes
    public_i: bytes
    public_r: bytes
    shared: bytes

    def view(self) -> Json:
        return {name: value.hex() for name, value in vars(self).items()}


def x25519(label: str) -> KeyExchange:
    seed_i, seed_r = noise(f"{label} i", 32), noise(f"{label} r", 32)
    private_i, private_r = X25519PrivateKey.from_private_bytes(seed_i), X25519PrivateKey.from_private_bytes(seed_r)
    public_i, public_r = (
        key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for key in (private_i, private_r)
    )
    return KeyExchange(seed_i, seed_r, public_i, public_r, shared=private_i.exchange(private_r.public_key()))


def ecp256(label: str) -> KeyExchange:
    """RFC 5903 section 7: x | y as public value, x as shared secret."""
    scalar_i, scalar_r = (int.from_bytes(noise(f"{label} {role}", 32)) % (P256_ORDER - 1) + 1 for role in "ir")
    private_i, private_r = (ec.derive_private_key(scalar, ec.SECP256R1()) for scalar in (scalar_i, scalar_r))
    public_i, public_r = (
        key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        for key in (private_i, private_r)
    )
    shared = private_i.exchange(ec.ECDH(), private_r.public_key())
    return KeyExchange(scalar_i.to_bytes(32), scalar_r.to_bytes(32), public_i, public_r, shared)


def key_exchange(method: str, label: str) -> KeyExchange:
    return x25519(label) if method == "x25519" else ecp256(label)


@dataclass(frozen=True)
class Nonces:
    ni: bytes
    nr: bytes

    @classmethod
    def of(cls, label: str, length_i: int, length_r: int) -> Nonces:
        return cls(noise(f"{label} ni", length_i), noise(f"{label} nr", length_r))

    def view(self) -> Json:
        return {"ni": self.ni.hex(), "nr": self.nr.hex()}


def ike_keys(prf_name: str, cipher: str, skeyseed: bytes, seed: bytes) -> dict[str, bytes]:
    """Section 2.14 for an AEAD: SK_ai and SK_ar have no octets (RFC 5282 section 7). Seed: Ni | Nr | SPIi | SPIr."""
    prf_len, key_len = PRFS[prf_name]().digest_size, CIPHERS[cipher] + SALT_LEN
    names = ("sk_d", "sk_ei", "sk_er", "sk_pi", "sk_pr")
    lengths = (prf_len, key_len, key_len, prf_len, prf_len)
    stream = prf_plus(prf_name, skeyseed, seed, sum(lengths))
    return dict(zip(names, cut(stream, *lengths), strict=True))


def sealed(key: bytes, label: str, iv: int, body_len: int) -> Json:
    """RFC 5282: the nonce is the salt and the IV, the ICV is the last 16 octets."""
    aad, body = noise(f"{label} aad", 32), noise(f"{label} body", body_len)
    nonce = key[-SALT_LEN:] + iv.to_bytes(8)
    out = AESGCM(key[:-SALT_LEN]).encrypt(nonce, body, aad)
    return {
        "aad": aad.hex(),
        "iv": iv.to_bytes(8).hex(),
        "body": body.hex(),
        "sealed": out[:-16].hex(),
        "icv": out[-16:].hex(),
    }


def additional(label: str) -> list[bytes]:
    """Secrets of two key exchanges after the first one, of different lengths."""
    return [noise(f"{label} SK(1)", 32), noise(f"{label} SK(2)", 48)]


def child(prf_name: str, sk_d: bytes, cipher: str, label: str, method: str | None, *more: bytes) -> Json:
    """Section 2.17; further secrets by RFC 9370 section 2.2.4."""
    nonces = Nonces.of(label, 32, 20)
    exchange = key_exchange(method, label) if method else None
    seed = (exchange.shared if exchange else b"") + nonces.ni + nonces.nr + b"".join(more)
    length = CIPHERS[cipher] + SALT_LEN
    from_i, from_r = cut(prf_plus(prf_name, sk_d, seed, 2 * length), length, length)
    return {
        "suite": f"{cipher}-{method}" if method else cipher,
        **nonces.view(),
        "shared": exchange.shared.hex() if exchange else None,
        "additional": [secret.hex() for secret in more],
        "from_initiator": from_i.hex(),
        "from_responder": from_r.hex(),
    }


def auth(prf_name: str, keys: dict[str, bytes], role: str, nonce: bytes, label: str) -> Json:
    """Section 2.15."""
    psk = noise(f"{label} psk", 23)
    message, id_body = noise(f"{label} {role} init", 300), noise(f"{label} {role} id", 17)
    octets = message + nonce + prf(prf_name, keys[f"sk_p{role}"], id_body)
    return {
        "psk": psk.hex(),
        "message": message.hex(),
        "id_body": id_body.hex(),
        "auth": prf(prf_name, prf(prf_name, psk, b"Key Pad for IKEv2"), octets).hex(),
    }


def rekeyed(old_prf: str, sk_d: bytes, new_prf: str, label: str) -> Json:
    """Section 2.18: the old PRF makes SKEYSEED, the new one expands it; with more secrets RFC 9370 section 2.2.4."""
    cipher, method = "aes128gcm16", "x25519"
    exchange, nonces = key_exchange(method, label), Nonces.of(label, 32, 32)
    spi_i, spi_r = noise(f"{label} spi_i", 8), noise(f"{label} spi_r", 8)
    fresh = exchange.shared + nonces.ni + nonces.nr
    seed = nonces.ni + nonces.nr + spi_i + spi_r
    keys = ike_keys(new_prf, cipher, prf(old_prf, sk_d, fresh), seed)
    more = additional(label)
    hybrid = ike_keys(new_prf, cipher, prf(old_prf, sk_d, fresh + b"".join(more)), seed)
    return {
        "suite": f"{cipher}-{new_prf}-{method}",
        "additional": [secret.hex() for secret in more],
        "hybrid_keys": {name: key.hex() for name, key in hybrid.items()},
        "shared": exchange.shared.hex(),
        **nonces.view(),
        "spi_i": spi_i.hex(),
        "spi_r": spi_r.hex(),
        "keys": {name: key.hex() for name, key in keys.items()},
    }


def schedule(cipher: str, prf_name: str, method: str, nonce_lengths: tuple[int, int]) -> Json:
    label = f"{cipher}-{prf_name}-{method}"
    exchange, nonces = key_exchange(method, label), Nonces.of(label, *nonce_lengths)
    spi_i, spi_r = noise(f"{label} spi_i", 8), noise(f"{label} spi_r", 8)
    skeyseed = prf(prf_name, nonces.ni + nonces.nr, exchange.shared)
    keys = ike_keys(prf_name, cipher, skeyseed, nonces.ni + nonces.nr + spi_i + spi_r)
    other_prf = {"prfsha256": "prfsha512", "prfsha384": "prfsha256", "prfsha512": "prfsha384"}[prf_name]
    return {
        "suite": label,
        "exchange": exchange.view(),
        **nonces.view(),
        "spi_i": spi_i.hex(),
        "spi_r": spi_r.hex(),
        "keys": {name: key.hex() for name, key in keys.items()},
        "sealed_by_initiator": sealed(keys["sk_ei"], f"{label} i", 0, 200),
        "sealed_by_responder": sealed(keys["sk_er"], f"{label} r", 2**63 + 5, 1),
        "auth_i": auth(prf_name, keys, "i", nonces.nr, label),
        "auth_r": auth(prf_name, keys, "r", nonces.ni, label),
        "children": [
            child(prf_name, keys["sk_d"], "aes256gcm16", f"{label} child", None),
            child(prf_name, keys["sk_d"], "aes128gcm16", f"{label} child", method),
            child(prf_name, keys["sk_d"], "aes256gcm16", f"{label} child", method, *additional(f"{label} child")),
        ],
        "rekeyed": rekeyed(prf_name, keys["sk_d"], other_prf, f"{label} rekeyed"),
    }


def streams() -> list[Json]:
    cases: list[Json] = []
    for name, key_len in product(PRFS, (1, 48, 300)):
        key, seed = noise(f"{name} {key_len} key", key_len), noise(f"{name} seed", 100)
        whole = prf_plus(name, key, seed, 255 * PRFS[name]().digest_size)
        view = {"prf": name, "key": key.hex(), "seed": seed.hex(), "length": len(whole)}
        cases.append({**view, "head": whole[:150].hex(), "sha256": hashlib.sha256(whole).hexdigest()})
    return cases


def nat_detection() -> list[Json]:
    """Section 2.23."""
    cases: list[Json] = []
    for address, port in (("192.0.2.7", 500), ("203.0.113.255", 61234), ("2001:db8::17", 4500)):
        spi_i, spi_r = noise(f"{address} spi_i", 8), noise(f"{address} spi_r", 8)
        digest = hashlib.sha1(spi_i + spi_r + ip_address(address).packed + port.to_bytes(2)).hexdigest()  # noqa: S324
        cases.append({"spi_i": spi_i.hex(), "spi_r": spi_r.hex(), "ip": address, "port": port, "hash": digest})
    return cases


def main() -> None:
    lengths = [(32, 32), (16, 16), (256, 256), (16, 255), (64, 20), (33, 47)]
    suites = product(CIPHERS, PRFS, METHODS)
    vectors = {
        "schedules": [schedule(*suite, lengths[index % len(lengths)]) for index, suite in enumerate(suites)],
        "prf_plus": streams(),
        "nat_detection": nat_detection(),
    }
    path = Path(__file__).with_name("ike_schedule.json")
    path.write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()

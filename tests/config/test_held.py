"""Credentials that the daemon keeps: what each kind may hold, what is told of it, and which keys take it."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mobike.config import ConfigError, Loaded
from mobike.config.files import Source
from mobike.config.held import LONGEST, Held, held
from mobike.config.load import assemble
from mobike.config.named import KEYS_OF_STORED, SecretError
from mobike.kinds import KINDS
from tests.auth.pki import Authority, new_key
from tests.config.judge import Judge

CA = Authority.new()
GW = CA.sub("Middle").issue("gw.example.net")
OTHER = new_key()
CHAIN = b"".join(each.public_bytes(Encoding.PEM) for each in (GW.certificate, *GW.chain)).decode()
KEY = GW.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
OTHER_KEY = OTHER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = GW.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
ANCHOR = CA.certificate.public_bytes(Encoding.PEM).decode()
SECRET = "a horse nobody knows, nor its stable"


def mark(octets: bytes) -> str:
    return f"mark:{len(octets)}"


def made(kind: str, text: str, before: Held | None = None, now: float = 1.0) -> Held:
    return held(kind, text, now, before, mark)


GOOD = {
    "psk": SECRET,
    "ppk": "0x" + "ab" * 32,
    "password": SECRET,
    "users": f'"ann@example.net" = "{SECRET}"',
    "radius": SECRET,
    "private-key": KEY,
    "certificate": CHAIN,
    "identity": KEY + CHAIN,
    "authority": ANCHOR,
    "public-key": PUBLIC,
}
BASE: dict[str, Any] = {
    "role": "responder",
    "local_id": "gw.example.net",
    "remote_id": "*@example.net",
    "local_ts": ["10.1.0.0/16"],
    "remote_ts": ["10.2.0.0/16"],
}
EAP: dict[str, Any] = {"local_auth": "cert", "local_cert": "stored:identity", "local_key": "stored:identity"}
CLIENT: dict[str, Any] = {
    "role": "initiator",
    "remote": ["192.0.2.1"],
    "remote_id": "gw.example.net",
    "remote_auth": "cert",
    "remote_ca": ["stored:authority"],
}
TABLES: dict[str, dict[str, Any]] = {
    "psk_file": {"psk_file": "stored:psk"},
    "ppk_file": {"psk_file": "stored:psk", "ppk_id": "a", "ppk_file": "stored:ppk"},
    "local_key": EAP
    | {"local_key": "stored:private-key", "local_cert": "stored:certificate", "psk_file": "stored:psk"},
    "local_cert": EAP | {"psk_file": "stored:psk"},
    "remote_ca": EAP | {"remote_auth": "cert", "remote_ca": ["stored:authority"]},
    "remote_keys": {"local_auth": "key", "local_key": "stored:private-key", "remote_auth": "key"}
    | {"remote_keys": ["stored:public-key"]},
    "eap_users": EAP | {"remote_auth": "eap", "eap_users": "stored:users"},
    "secret_file": EAP
    | {"remote_auth": "eap", "eap": ["radius"], "radius": [{"server": "192.0.2.9", "secret_file": "stored:radius"}]},
    "eap_password_file": CLIENT | {"local_auth": "eap", "eap_password_file": "stored:password"},
}


def assembled(folder: Path, table: dict[str, Any], credentials: dict[str, Held] | None = None) -> Loaded:
    known = {kind: made(kind, text) for kind, text in GOOD.items()} if credentials is None else credentials
    return assemble([Source("mobike.toml", "")], {"annex": BASE | table}, Judge(), base=folder, credentials=known)


def test_there_is_a_good_one_of_each_kind_and_a_table_of_each_key() -> None:
    assert GOOD.keys() == KINDS.keys()
    assert TABLES.keys() == KEYS_OF_STORED.keys()
    assert frozenset().union(*KEYS_OF_STORED.values()) == KINDS.keys()


@pytest.mark.parametrize("key", TABLES)
def test_a_connection_of_the_store_names_it_where_one_of_a_file_names_a_path(tmp_path: Path, key: str) -> None:
    (connection,) = assembled(tmp_path, TABLES[key]).settings.connections
    profile = connection.profile
    match key:
        case "psk_file":
            assert profile.psk == SECRET.encode()
        case "ppk_file":
            assert profile.ppk is not None
            assert profile.ppk.key == b"\xab" * 32
        case "local_key" | "local_cert":
            assert profile.credential is not None
            assert profile.credential.certificates == GW.der
        case "remote_ca":
            assert connection.trust is not None
            assert connection.trust.anchors == (CA.certificate,)
        case "remote_keys":
            public = GW.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            assert profile.remote_keys == (public,)
        case _:
            assert SECRET in str(_all_of(connection.eap))


def _all_of(orders: object) -> list[object]:
    """What is in EAP's orders, which show no secret by themselves."""
    found = [getattr(orders, name, None) for name in ("password", "passwords")]
    return found + [each.secret for each in getattr(orders, "servers", ())]


@pytest.mark.parametrize("key", TABLES)
def test_another_kind_than_the_key_takes_is_a_flaw_that_names_both(tmp_path: Path, key: str) -> None:
    known = {kind: made(kind, text) for kind, text in GOOD.items()}
    wrong = made("psk" if "psk" not in KEYS_OF_STORED[key] else "password", SECRET)
    swapped = known | dict.fromkeys(KEYS_OF_STORED[key], wrong)
    with pytest.raises(ConfigError) as caught:
        assembled(tmp_path, TABLES[key], swapped)
    flaws = [problem for problem in caught.value.problems if key in problem.at]
    assert flaws, caught.value
    assert all(f"is of the kind {wrong.kind}; this takes " in flaw.message for flaw in flaws)


def test_one_that_is_not_there_is_a_flaw_that_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no credential 'psk1'; did you mean psk"):
        assembled(tmp_path, {"psk_file": "stored:psk1"})


@pytest.mark.parametrize(
    "text",
    [
        '[connections.a]\nrole = "responder"\nremote_id = "*"\npsk_file = "stored:psk"\n',
        '[api]\ntls_key = "stored:private-key"\ntls_certificate = "a.pem"\n',
        '[api.webhooks.pager]\nurl = "https://a.example"\nsecret_file = "stored:radius"\n',
    ],
)
def test_files_do_not_name_what_the_daemon_keeps(tmp_path: Path, text: str) -> None:
    known = {kind: made(kind, text) for kind, text in GOOD.items()}
    with pytest.raises(ConfigError, match="is for what connections made over the API prove themselves by"):
        assemble([Source("mobike.toml", text)], {}, Judge(), base=tmp_path, credentials=known)


@pytest.mark.parametrize("name", ["/etc/shadow", "../outside.psk", "sub/../../outside.psk", "/proc/self/environ"])
def test_over_the_api_no_file_elsewhere_is_named_and_nothing_is_said_of_it(tmp_path: Path, name: str) -> None:
    (folder := tmp_path / "mobike").mkdir()
    (tmp_path / "outside.psk").write_text(SECRET)
    with pytest.raises(ConfigError) as caught:
        assembled(folder, {"psk_file": name})
    (flaw,) = caught.value.problems
    assert flaw.at == ("connections", "annex", "psk_file")
    assert flaw.message.startswith(f"{name} is not in {folder}, and over the API no other file can be named")
    assert "did you mean" not in flaw.message


def test_over_the_api_files_beside_the_configuration_and_of_allowed_folders_are_named(tmp_path: Path) -> None:
    (folder := tmp_path / "mobike").mkdir()
    (keys := tmp_path / "keys").mkdir()
    for file in (folder / "own.psk", keys / "allowed.psk"):
        file.write_text(SECRET)
        file.chmod(0o600)
    # A link is made by who may write there.
    (folder / "linked.psk").symlink_to(keys / "allowed.psk")
    text = f'[api]\nfolders = ["{keys}"]\n'
    for name in ("own.psk", str(keys / "allowed.psk"), "linked.psk"):
        table = BASE | {"psk_file": name}
        (connection,) = assemble(
            [Source("mobike.toml", text)], {"annex": table}, Judge(), base=folder
        ).settings.connections
        assert connection.profile.psk == SECRET.encode()
    with pytest.raises(ConfigError, match="is not in"):
        assembled(folder, {"psk_file": str(keys / "allowed.psk")})


def test_a_file_may_name_any_other_file(tmp_path: Path) -> None:
    (folder := tmp_path / "mobike").mkdir()
    (tmp_path / "elsewhere.psk").write_text(SECRET)
    text = (
        '[connections.a]\nrole = "responder"\nremote_id = "*"\nlocal_id = "g"\npsk_file = "../elsewhere.psk"\n'
        'local_ts = ["10.1.0.0/16"]\nremote_ts = ["10.2.0.0/16"]\n'
    )
    (connection,) = assemble([Source("mobike.toml", text)], {}, Judge(), base=folder).settings.connections
    assert connection.profile.psk == SECRET.encode()


@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("psk_env", {"psk_env": "HOME"}),
        ("eap_password_env", CLIENT | {"local_auth": "eap", "eap_password_env": "HOME"}),
        (
            "secret_env",
            EAP | {"remote_auth": "eap", "eap": ["radius"], "radius": [{"server": "::1", "secret_env": "HOME"}]},
        ),
    ],
)
def test_over_the_api_no_variable_of_the_daemon_is_named(tmp_path: Path, key: str, table: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        assembled(tmp_path, table)
    (flaw,) = (each for each in caught.value.problems if key in each.at)
    assert "over the API no variable of the environment can be named" in flaw.message


def test_of_a_certificate_its_fingerprint_and_its_end_are_told() -> None:
    one = made("certificate", CHAIN)
    certificates = (GW.certificate, *GW.chain)
    assert one.fingerprints == tuple(f"sha256:{each.fingerprint(hashes.SHA256()).hex()}" for each in certificates)
    assert one.ends == min(each.not_valid_after_utc for each in certificates).timestamp()
    assert made("identity", CHAIN + KEY).fingerprints == one.fingerprints


def test_of_a_key_its_public_half_is_told() -> None:
    public = GW.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert made("private-key", KEY).fingerprints == made("public-key", PUBLIC).fingerprints
    assert made("private-key", KEY).fingerprints == (f"sha256:{sha256(public).hexdigest()}",)


def test_of_a_secret_a_mark_is_told_and_the_same_octets_have_the_same_one() -> None:
    assert made("psk", "0x" + "ab" * 20).fingerprints == ("mark:20",)
    assert made("psk", SECRET).fingerprints == (f"mark:{len(SECRET)}",)


def test_the_same_once_more_is_the_same_and_another_keeps_the_day_it_was_made() -> None:
    first = made("psk", SECRET)
    assert made("psk", SECRET, first, now=9.0) is first
    second = made("psk", SECRET + "!", first, now=9.0)
    assert (second.made, second.changed) == (1.0, 9.0)
    assert SECRET not in repr(second)


@pytest.mark.parametrize(
    ("kind", "text", "blamed", "words"),
    [
        ("pasword", SECRET, "kind", "did you mean password"),
        ("psk", " \n", "content", "is empty"),
        ("psk", "0xhorse", "content", "no hexadecimal or base64 follows"),
        ("psk", "x" * (LONGEST + 1), "content", "at most"),
        ("private-key", CHAIN, "content", "holds no private key in PEM"),
        ("certificate", KEY, "content", "holds no certificate in PEM"),
        ("identity", CHAIN, "content", "holds no private key in PEM"),
        ("identity", CHAIN + OTHER_KEY, "content", "does not belong to its first certificate"),
        ("authority", CHAIN, "content", "authority"),
        ("public-key", KEY, "content", "holds no public key in PEM"),
        ("users", SECRET, "content", "is not TOML"),
        ("users", "ann = 7", "content", "the password of 'ann' is no text"),
    ],
)
def test_what_is_of_no_use_is_refused_without_a_word_of_it(kind: str, text: str, blamed: str, words: str) -> None:
    with pytest.raises(SecretError, match=words) as caught:
        made(kind, text)
    assert caught.value.key == blamed
    assert not any(line in str(caught.value) for line in text.splitlines() if len(line) > 8)

"""`mobike check` and the start of `mobike run`, judged by the real core."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.auth.pki import Authority
from tests.auth.test_ocsp import respond
from tests.cli.conftest import Run
from tests.config.office import KEY as PHRASE
from tests.config.office import OFFICE

pytest.importorskip("mobike._core", reason="needs the core to judge proposals and identities")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mobike.toml"
    path.write_text(OFFICE)
    path.chmod(0o600)
    return path


def test_a_good_file_is_called_good(mobike: Run, file: Path) -> None:
    told = mobike("check", "--config", file)
    assert (told.code, told.out, told.err) == (0, f"{file}: good, 1 connection\n", "")


def test_the_example_of_the_documentation_is_good(mobike: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs/mobike.example.toml").read_text()
    (tmp_path / "mobike.toml").write_text(text)
    secrets = {"roadwarriors.psk": PHRASE, "branches.ppk": "0x" + "5a" * 32, "users.toml": f'"ann" = "{PHRASE}"\n'}
    for name, secret in (secrets | {"radius.secret": PHRASE, "ann.password": PHRASE, "tickets.key": "11" * 32}).items():
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    authority = Authority.new()
    authority.write(tmp_path / "branches-ca.pem")
    owner = authority.issue("gw.example.net")
    owner.write(tmp_path, "gateway")
    public = owner.key.public_key()
    (tmp_path / "lab.pub").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "gateway.ocsp").write_bytes(respond(owner, authority))
    monkeypatch.setenv("OFFICE_PSK", PHRASE)
    told = mobike("check", "--config", tmp_path / "mobike.toml")
    assert (told.code, told.err) == (0, "")


def test_all_problems_are_told_at_once_with_file_line_and_key(mobike: Run, file: Path) -> None:
    file.write_text(OFFICE.replace("remote =", "remot =") + 'ike = ["aes128gcm16-prfsha256-x25518"]\nesp = ["des"]\n')
    told = mobike("check", "--config", file)
    assert told.code == 2
    *problems, end = told.err.splitlines()
    assert problems[0] == f"{file}:3: connections.office.remot: unknown key; did you mean remote?"
    assert problems[1].startswith(f"{file}:8: connections.office.ike[0]: ")
    assert "x25518" in problems[1]
    assert problems[2].startswith(f"{file}:9: connections.office.esp[0]: ")
    assert "des" in problems[2]
    assert end == f"mobike: 3 problems in {file}"


def test_a_warning_is_told_and_harms_nobody(mobike: Run, file: Path) -> None:
    file.chmod(0o644)
    told = mobike("check", "--config", file)
    assert told.code == 0
    assert "chmod 600 it, or use psk_file (warning)" in told.err


def test_a_file_that_is_not_there_is_exit_code_2(mobike: Run, tmp_path: Path) -> None:
    told = mobike("check", "--config", tmp_path / "absent.toml")
    assert told.code == 2
    assert "No such file" in told.err


def test_run_with_a_wrong_file_does_not_start(file: Path) -> None:
    file.write_text("[deamon]\n")
    command = [sys.executable, "-m", "mobike.cli", "run", "--config", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        f"{file}:1: deamon: unknown key; did you mean daemon?",
        f"mobike: 1 problem in {file}",
    ]

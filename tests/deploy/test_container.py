"""The container file, as far as it is held without building it: what it copies and starts is there."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/deploy/Containerfile").read_text()
KNOWN = {
    "ARG",
    "FROM",
    "RUN",
    "WORKDIR",
    "COPY",
    "ENV",
    "VOLUME",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ENTRYPOINT",
    "CMD",
}


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def test_every_instruction_is_one() -> None:
    assert {word for word, _ in instructions()} <= KNOWN


def test_what_is_copied_from_the_sources_is_there_and_all_that_a_build_wants() -> None:
    copied = [shlex.split(rest)[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    names = {name for names in copied for name in names}
    assert all((ROOT / name).exists() for name in names)
    # What the packages are made of: their descriptions, their locks, and the folders that those name.
    assert names >= {
        "rust-toolchain.toml",
        "Cargo.toml",
        "Cargo.lock",
        "pyproject.toml",
        "uv.lock",
        "README.md",
        "rust",
        "python",
        "api",
    }


@pytest.mark.parametrize("word", ["CMD", "HEALTHCHECK"])
def test_what_it_starts_is_a_command_of_ours(word: str) -> None:
    (rest,) = (rest for each, rest in instructions() if each == word)
    arguments = [each for each in json.loads(rest[rest.index("[") :]) if each != "mobike"]
    options = [each for each in arguments if each.startswith("--")]
    command = [sys.executable, "-m", "mobike.cli", arguments[0], "--help"]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert all(option in told.stdout for option in options)

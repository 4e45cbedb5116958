"""`mobike capture`: what one IKE SA sends and receives, in a folder that Wireshark opens as it is."""

import os
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Final

import typer
from rich.console import Console

from mobike.cli.api import Api, Json, Target
from mobike.cli.completion import complete_sa
from mobike.cli.failure import Failure
from mobike.cli.plain import plain
from mobike.cli.status import find_sa

_LOOK_S: Final = 0.25
_FILES: Final = ("esp_sa", "ikev2_decryption_table")
_PREFERENCES: Final = "esp.enable_encryption_decode: TRUE\nesp.enable_authentication_check: TRUE\n"


def capture(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="ID|NAME", help="An IKE SA, or a connection that has one.", autocompletion=complete_sa),
    ],
    folder: Annotated[Path, typer.Option("--into", help="A folder, made new, for its owner alone.")] = Path("capture"),
    seconds: Annotated[int, typer.Option(min=1, max=600, help="It ends by itself after so many.")] = 30,
    keys: Annotated[bool, typer.Option(help="With the keys, in the clear, so that Wireshark can read it.")] = True,
) -> None:
    """Capture the IKE messages and the ESP packets of one IKE SA, with the keys to read them by. Ctrl-C ends it early.

    Whoever has the folder can read that traffic. It takes the scope `admin`, and stands in the record of changes.
    """
    try:
        folder.mkdir(mode=0o700)
    except OSError as problem:
        raise Failure(f"cannot make {folder}: {problem.strerror}", hint="name another with --into") from None
    try:
        with Api(context.ensure_object(Target)) as api:
            told = _capture(api, name, seconds, folder, keys=keys)
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    print(plain(summary(told, folder, keys=keys)))


def summary(told: Json, folder: Path, *, keys: bool) -> str:
    """What there is, and how to read it."""
    missed = f", and {told['missed']:,} more that there was no room for" if told["missed"] else ""
    much = f"{told['packets']:,} packets, {told['octets']:,} octets"
    lines = [f"{much} of IKE SA {told['ike_sa']}{missed}: {told['why_ended']}"]
    file = folder / "capture.pcapng"
    if keys:
        lines.append(f"open it: WIRESHARK_CONFIG_DIR={folder.absolute()} wireshark {file}")
        lines.append("rekey when you are done: mobike rekey, and mobike rekey --children")
    else:
        lines.append(f"open it: wireshark {file}")
    return "\n".join(lines)


def _capture(api: Api, name: str, seconds: int, folder: Path, *, keys: bool) -> Json:
    sa = find_sa(api, name)
    told = api.post(f"ike-sas/{sa}/captures", {"seconds": seconds})
    at = f"captures/{told['id']}"
    try:
        told = _follow(api, at, told)
        _write(folder / "capture.pcapng", api.fetch(f"{at}/packets"))
        if keys:
            found = api.post(f"{at}/keys")
            for file in _FILES:
                _write(folder / file, "".join(f"{line}\n" for line in found[file]).encode())
            _write(folder / "preferences", _PREFERENCES.encode())
        return told
    finally:
        api.delete(at)


def _follow(api: Api, at: str, told: Json) -> Json:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - as in `bulk`

    console = Console(stderr=True)
    columns = (TextColumn("{task.fields[said]}"), BarColumn(), TextColumn("left"), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    begun = monotonic()
    with bar:
        task = bar.add_task("capture", total=told["until"] - told["began"], said="")
        try:
            while told["ended"] is None:
                sleep(_LOOK_S)
                told = api.get(at)
                bar.update(task, completed=monotonic() - begun, said=f"{told['packets']:,} packets")
        except KeyboardInterrupt:
            # What there is is kept.
            return api.get(at) | {"why_ended": "you ended it"}
    return told


def _write(file: Path, data: bytes) -> None:
    """For its owner alone."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(data)

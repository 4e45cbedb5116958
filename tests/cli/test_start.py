"""How a command begins: it reads no more of the program than it needs, and Ctrl-C ends it quietly even then."""

import subprocess
import sys

HEAVY = ("mobike.config.build", "mobike.auth", "mobike.fleet", "mobike.gateway", "mobike_api", "fastapi", "pydantic")


def test_a_command_that_asks_a_daemon_does_not_read_the_daemon() -> None:
    code = f"import sys, mobike.cli.app; print(*[each for each in {HEAVY!r} if each in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def test_ctrl_c_while_it_is_read_is_130_without_a_word() -> None:
    code = """
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "mobike.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
import mobike.cli
mobike.cli.main()
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (130, "", "")

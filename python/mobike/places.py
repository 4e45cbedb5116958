"""Where things are when the configuration does not say: one answer for the daemon and for those who talk to it.

Beside config, not in it: a command that asks a daemon wants to know where it is without reading models first.
"""

import os
from pathlib import Path


def default_state_dir() -> Path:
    """What survives a restart: the token, and later more."""
    if os.geteuid() == 0:
        return Path("/var/lib/mobike")
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local/state") / "mobike"


def default_socket() -> Path:
    """Where the API is reached on this machine."""
    return Path("/run/mobike/api.sock") if os.geteuid() == 0 else default_state_dir() / "api.sock"


def default_token_file() -> Path:
    """Where the token for TCP is kept."""
    return default_state_dir() / "api.token"

"""Config: TOML in, frozen settings out, and errors that name file, line and key.

    locate      the line of every key, which tomllib does not tell
    fields      single values: addresses, networks, pools, times, proposals
    models      the tables of the file, as pydantic models
    messages    pydantic's errors in people's words
    credentials certificates and private keys from files
    secrets     pre-shared keys from text, file or environment
    build       tables -> settings, and the rules about more than one key
    redirects   on to other gateways: rules, and what becomes of them
    files       mobike.toml and conf.d, put together
    tables      what the files say, checked
    load        all of it in order
    settings    what comes out
    toml, schema, show      a value as TOML; the JSON Schema; what is obeyed, and where it comes from
    diff, effects           two configurations compared; what a changed key means for SAs that live

`docs/mobike.example.toml` shows every key. Config knows no core: what only the core can judge is asked through
`Checks`.
"""

from mobike.config.checks import Checks
from mobike.config.load import Loaded, load, parse
from mobike.config.problems import ConfigError, Problem
from mobike.config.settings import (
    ApiSettings,
    Connection,
    DaemonSettings,
    DataplaneSettings,
    Inner,
    LimitSettings,
    LinkSettings,
    LinkSource,
    LogFormat,
    ManualAddress,
    Moves,
    PlaneKind,
    Settings,
    StoreSettings,
)

__all__ = [
    "ApiSettings",
    "Checks",
    "ConfigError",
    "Connection",
    "DaemonSettings",
    "DataplaneSettings",
    "Inner",
    "LimitSettings",
    "LinkSettings",
    "LinkSource",
    "Loaded",
    "LogFormat",
    "ManualAddress",
    "Moves",
    "PlaneKind",
    "Problem",
    "Settings",
    "StoreSettings",
    "load",
    "parse",
]

"""Logs: one line an event, for a person or as JSON. Lines of libraries that use `logging` look the same.

How much is said, and how it looks, may change while the daemon runs: each line asks what is in force.
"""

import logging
import sys
from dataclasses import dataclass, field
from typing import Final

import structlog
from structlog.typing import EventDict, Processor, ProcessorReturnValue, WrappedLogger

from mobike.config import LogFormat

SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _renderer(format_: LogFormat) -> Processor:
    """Tracebacks without what variables hold: keys and secrets are among that."""
    if format_ is LogFormat.CONSOLE:
        plain = structlog.dev.plain_traceback
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    write = structlog.processors.JSONRenderer()

    def as_json(logger: WrappedLogger, method: str, event: EventDict) -> ProcessorReturnValue:
        return write(logger, method, structlog.processors.format_exc_info(logger, method, event))

    return as_json


@dataclass(slots=True)
class _InForce:
    level: int = logging.INFO
    renderer: Processor = field(default_factory=structlog.processors.JSONRenderer)


_in_force = _InForce()


WANTED: Final = "_wanted"
"""A key of lines that somebody has asked for by themselves, however loud they are."""


def _loud_enough(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if event.pop(WANTED, False):
        return event
    if logging.getLevelNamesMapping().get(method.upper(), logging.ERROR) < _in_force.level:
        raise structlog.DropEvent
    return event


def _render(logger: WrappedLogger, method: str, event: EventDict) -> ProcessorReturnValue:
    return _in_force.renderer(logger, method, event)


def is_loud(level: int) -> bool:
    """Is a line of this level written now?"""
    return level >= _in_force.level


def level_in_force() -> str:
    """From which level on lines are written."""
    return logging.getLevelName(_in_force.level).lower()


def set_up(level: str, format_: LogFormat) -> None:
    """Send every log line to standard error. Call once, before the first line."""
    structlog.configure(
        processors=[_loud_enough, *SHARED, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    logging.getLogger().handlers[:] = [handler]
    change(level, format_)


def change(level: str, format_: LogFormat) -> None:
    """From now on so much is said, and so."""
    number = logging.getLevelNamesMapping()[level.upper()]
    _in_force.level, _in_force.renderer = number, _renderer(format_)
    logging.getLogger().setLevel(max(number, logging.INFO))

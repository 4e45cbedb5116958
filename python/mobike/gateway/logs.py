"""Logs: one line an event, for a person or as JSON. Lines of libraries that use `logging` look the same."""

import logging
import sys

import structlog

from mobike.config import LogFormat

SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def set_up(level: str, format_: LogFormat) -> None:
    """Send every log line to standard error. Call once, before the first line."""
    number = logging.getLevelNamesMapping()[level.upper()]
    # Tracebacks without what variables hold: keys and secrets are among that.
    plain = structlog.dev.plain_traceback
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if format_ is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    )
    faults = [structlog.processors.format_exc_info] if format_ is LogFormat.JSON else []
    structlog.configure(
        processors=[*SHARED, *faults, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *faults, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.INFO))

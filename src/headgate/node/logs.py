"""Logs of the control process: JSON lines on standard error, readable text on a terminal."""

import logging
import sys

import structlog

LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


_fields: dict[str, str] = {}


def add(**fields: str) -> None:
    """Adds fields to each line from now on, such as the instance where several write to one log."""
    _fields.update(fields)


def configure(level: str, process: str = "control") -> None:
    """Sets up structlog; `level` is one of LEVELS, anything else counts as `info`.

    May be called again: loggers that are bound per call see the new level at once.
    """
    terminal = sys.stderr.isatty()
    shown: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _named(process),
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS.get(level, logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")


def level_of(text: str | None) -> str:
    """Returns the level of `HEADGATE_LOG` or `RUST_LOG`; `info` for what we do not know.

    >>> level_of("headgate=debug,info"), level_of("warn"), level_of(None)
    ('info', 'warn', 'info')
    """
    words = [word.strip().lower() for word in (text or "").split(",")]
    return next((word for word in words if word in LEVELS), "info")


def _named(process: str) -> structlog.typing.Processor:
    def name(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["process"] = process
        for field, value in _fields.items():
            event.setdefault(field, value)
        return event

    return name

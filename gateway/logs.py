"""Logs: one JSON object per line on stderr. Events carry ids and one-word reasons, never what a citizen wrote."""

from __future__ import annotations

import logging
import sys

import structlog


def set_up_logging(level: str) -> None:
    """Send structlog and the libraries' own logging to stderr as JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_traceback,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for talkative in ("httpx", "httpcore", "aiosmtpd", "mail.log", "alembic", "asyncio", "imapclient"):
        logging.getLogger(talkative).setLevel("WARNING")  # they log URLs and addresses at INFO


def _without_traceback(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A traceback's last line quotes values: of an exception the log keeps the type only."""
    raised = event.pop("exc_info", None)
    if isinstance(raised, tuple) and raised[0] is not None:
        event["exception"] = raised[0].__name__
    elif isinstance(raised, BaseException):
        event["exception"] = type(raised).__name__
    return event

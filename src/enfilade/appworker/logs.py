"""What this program says about itself: lines for the supervisor, which makes records of its log of them."""

from __future__ import annotations

import logging


class LineFormatter(logging.Formatter):
    """`LEVEL logger: text`; the lines of a traceback follow, indented."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{record.levelname} {record.name}: {record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text.replace("\n", "\n    ")


def set_up_logging(level: str) -> None:
    """Send what the loggers `enfilade.*` say at `level` and above to stderr; the application's own loggers are its own."""
    logging.addLevelName(25, "NOTICE")
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    root = logging.getLogger("enfilade")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False

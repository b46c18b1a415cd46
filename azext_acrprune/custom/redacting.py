"""az's log without secrets, whoever writes to it: az's sign-in, the SDKs, and all libraries below them."""

from __future__ import annotations

import logging
import traceback

from knack.log import CLI_LOGGER_NAME

from ..redaction import keep_secret, redacted


class _WithoutSecrets(logging.Filter):
    """Lets every record through, its text and its traceback without secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = redacted(''.join(traceback.format_exception(*record.exc_info)).rstrip())
        return True


def hide_secrets_in_the_log(username: str | None = None, password: str | None = None) -> None:
    """Hide them, and this password, in what az shows and in the files to which it logs; from now on, until it ends."""
    keep_secret(password, username)
    for logger in (logging.getLogger(), logging.getLogger(CLI_LOGGER_NAME)):
        for handler in logger.handlers:
            if not any(isinstance(each, _WithoutSecrets) for each in handler.filters):
                handler.addFilter(_WithoutSecrets())

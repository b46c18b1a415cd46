"""What az prints for one of our commands, made safe: the answer on stdout in each format, and every line of its log.

A registry, a policy or an archive may hold what a terminal or a pipeline obeys. JSON and YAML get escapes, and say the
same as before; the other formats have no escapes, and show signs in the place of it. Tables are laid out here too, for
their widths are those of what is printed in the end.
"""

from __future__ import annotations

import copy
import logging
import shutil
import sys
from collections.abc import Callable
from typing import Any

from knack.log import get_logger

from ..spelling import escaped, escaped_everywhere, escaped_json, escaped_lines, escaped_yaml, is_obeyed
from .table import TABLE_ROWS, Layout, Table, laid_out

logger = get_logger(__name__)

Formatter = Callable[[Any], str]
"""Makes text of the result of a command, as those of knack do."""

_LOGGERS = ('', 'cli')
"""The loggers that have az's handlers: that of libraries, and az's own."""


def make_safe(cli_ctx: Any) -> None:
    """From now on az prints only what is safe, for the rest of this command."""
    if not isinstance(cli_ctx.output, SafeOutput):
        cli_ctx.output = SafeOutput(cli_ctx.output)
    for name in _LOGGERS:
        for handler in logging.getLogger(name).handlers:
            if not isinstance(handler.formatter, SafeFormatter):
                handler.setFormatter(SafeFormatter(handler.formatter or logging.Formatter()))


class SafeOutput:
    """az's producer of output, in front of its formats. What it is asked for beside them is what az's own says.

    `top` is how many rows a table has; 0 is all of them.
    """

    def __init__(self, output: Any) -> None:
        self._output = output
        self.top = TABLE_ROWS
        self._notes: list[str] = []
        self._below: list[str] = []

    def out(self, obj: Any, formatter: Formatter | None = None, out_file: Any = None) -> None:
        """Print an answer; and below it, on standard error, what a table leaves out and what else is to be said."""
        self._output.out(obj, formatter=formatter, out_file=out_file)
        for text in (*self._notes, *self._below):
            logger.warning(text)

    def say_below(self, text: str) -> None:
        """Have a text said after the answer, which may be longer than a screen."""
        self._below.append(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)

    def get_formatter(self, format_type: str) -> Formatter:
        own: Formatter = self._output.get_formatter(format_type)
        if format_type in ('json', 'jsonc'):
            return lambda answer: escaped_json(own(answer))  # what colours a text is no part of JSON, and stays
        if format_type in ('yaml', 'yamlc'):
            return _coloured(_yaml) if self._output.cli_ctx.enable_color and format_type == 'yamlc' else _yaml
        if format_type == 'table':
            return lambda answer: self._table(answer, own)
        return lambda answer: own(_with(answer, result=escaped_everywhere(answer.result)))

    def _table(self, answer: Any, own: Formatter) -> str:
        transform = answer.table_transformer
        if answer.is_query_active or not callable(transform):
            return own(_with(answer, result=escaped_everywhere(answer.result)))
        layout = self._laid_out(transform(answer.result))
        self._notes = layout.notes
        return layout.with_lines_below(own(_with(answer, table_transformer=lambda _: layout.rows)))

    def _laid_out(self, rows: list[dict[str, Any]]) -> Layout:
        """Rows as they are printed: in all columns that the terminal has room for, or in a pipe in all of them."""
        sums, columns, below = (rows.sums, rows.columns, rows.below) if isinstance(rows, Table) else ([], (), ())
        number = len(rows) - len(sums)
        safe = Table(escaped_everywhere(rows[:number]), escaped_everywhere(rows[number:]), columns, below)
        return laid_out(safe, self.top, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)


class SafeFormatter(logging.Formatter):
    """Formats as another formatter does. What a message is given is one line; the message itself may have several."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        safe = copy.copy(record)
        if isinstance(record.args, tuple):
            safe.args = tuple(map(_one_line, record.args))
        return escaped_lines(self._formatter.format(safe).replace('\t', '    '))


def _one_line(value: Any) -> Any:
    """A number, or the text of anything else in one line."""
    return value if isinstance(value, (int, float)) else escaped(str(value))


def _with(answer: Any, **fields: Any) -> Any:
    """A copy of a result of knack with other fields."""
    changed = copy.copy(answer)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _yaml(answer: Any) -> str:
    """As knack's own format, with double quotes around whatever needs an escape: there is none in other quotes."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Knows the dictionaries that --query makes too."""

    def represent(dumper: Any, text: str) -> Any:
        return dumper.represent_scalar('tag:yaml.org,2002:str', text, style='"' if is_obeyed(text) else None)

    Dumper.add_representer(str, represent)
    Dumper.add_multi_representer(dict, lambda dumper, found: dumper.represent_dict(found))
    return escaped_yaml(yaml.dump(answer.result, Dumper=Dumper, default_flow_style=False, allow_unicode=True))


def _coloured(formatter: Formatter) -> Formatter:
    from pygments import highlight
    from pygments.formatters.terminal import TerminalFormatter
    from pygments.lexers.data import YamlLexer

    return lambda answer: str(highlight(formatter(answer), YamlLexer(), TerminalFormatter()))

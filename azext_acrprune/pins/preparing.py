"""Texts made easier to read for readers that do not know their language; lines stay where they are."""

from __future__ import annotations

import re

from .expressions import hole_texts

_EXPRESSION = re.compile(r'^([ ]*(?:- )?[\w./"\'-]{1,100}:[ ]+)#@ ([^\n]{1,300})$', re.MULTILINE)
_ATTRIBUTE = re.compile(r'^:([\w-]{1,100}):[ ]+(\S{1,300})[ ]*$', re.MULTILINE)
_ATTRIBUTE_USE = re.compile(r'\{([\w-]{1,100})\}')
_WORD = re.compile(r'\S+')
_WORDS = re.compile(r'%[wWi](?:\[([^\[\]"]{0,20000})\]|\(([^()"]{0,20000})\))')


def with_quotes(text: str) -> str:
    """Ruby's `%w[a b]` as `["a" "b"]`, on as many lines."""
    return (
        _WORDS.sub(lambda match: f'[{re.sub(_WORD, _quoted_word, match[1] or match[2])}]', text)
        if '%w' in text
        else text
    )


def with_expressions(text: str) -> str:
    """YAML of ytt with what its expressions say: `image: #@ data.values.registry + "/app:1"`."""
    return _EXPRESSION.sub(_said, text) if '#@ ' in text else text


def _said(match: re.Match[str]) -> str:
    texts = hole_texts(match[2])
    return f'{match[1]}"{texts[0]}"' if len(texts) == 1 and '"' not in texts[0] else match.group()


def with_attributes(text: str) -> str:
    """A text of AsciiDoc with the values of its attributes: `:version: 1` and `{version}`."""
    values = dict(_ATTRIBUTE.findall(text))
    return _ATTRIBUTE_USE.sub(lambda match: values.get(match[1], match.group()), text) if values else text


def _quoted_word(match: re.Match[str]) -> str:
    return f'"{match.group()}",'


def without_blocks(text: str) -> str:
    """The text without the comments `<# ... #>` of PowerShell, on as many lines."""
    return re.sub(r'<#(?s:.*?)(?:#>|\Z)', lambda match: '\n' * match.group().count('\n'), text)

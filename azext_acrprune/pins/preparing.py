"""Texts made easier to read for readers that do not know their language; lines stay where they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .holes import hole_texts
from .scopes import Scope

_EXPRESSION = re.compile(r'^([ ]*(?:- )?[\w./"\'-]{1,100}:[ ]+)#@ ([^\n]{1,300})$', re.MULTILINE)
_ATTRIBUTE = re.compile(r'^:([\w-]{1,100}):[ ]+(\S{1,300})[ ]*$', re.MULTILINE)
_ATTRIBUTE_USE = re.compile(r'\{([\w-]{1,100})\}')
_ERB = re.compile(r'<%=-?(?P<said>[^%\n{}]{1,300}?)-?%>|<%[-#]?(?P<done>[^%]{0,1000}?)-?%>')
_GIVEN = re.compile(r'\s*[$@]?(\w{1,100})\s*=\s*("[^"#]*"|\'[^\']*\')\s*\Z')
_BATCH_LOOP = re.compile(r'\bfor\s+%%(\w)\s+in\s*\(([^()%*\n]{1,2000})\)\s*do\s*\(?', re.IGNORECASE)
_BATCH_NAME = re.compile(r'%%~?(\w)')
_BATCH_IF = re.compile(r'^[ \t]*if[ ][^()\n]{1,200}?[ ](?=set[ ]\w+=)', re.IGNORECASE | re.MULTILINE)
_LATE = re.compile(r'[!%](\w{1,100})[!%]')
_ALIASED = re.compile(r"(?<=')br/(\w{1,100}):(?=[\w./-]{1,200}:)([^'\s]{1,300})(?=')")
_ESCAPED = re.compile(
    r'\\(?:u00(?P<u>2(?![27])[0-9a-fA-F]|[346][0-9a-fA-F]|[57](?![cC])[0-9a-fA-F])'
    r'|x(?P<x>2(?![27])[0-9a-fA-F]|[346][0-9a-fA-F]|[57](?![cC])[0-9a-fA-F])|/)'
)
_REGISTRY_LINE = re.compile(r'^[ \t]*Registry:[ \t]*(\S+)', re.MULTILINE | re.IGNORECASE)
_NAMESPACE_LINE = re.compile(r'^[ \t]*Namespace:[ \t]*(\S+)', re.MULTILINE | re.IGNORECASE)
_FROM_LINE = re.compile(r'^([ \t]*From:[ \t]*)(\S+)', re.MULTILINE | re.IGNORECASE)
_QUEUE = re.compile(
    r'^[ \t]*queue[ \t]+(?:\d+[ \t]+)?(\w+)[ \t]+(?:in|from)[ \t]*\(?([^()\n]{1,2000})\)?[ \t]*$',
    re.MULTILINE | re.IGNORECASE,
)
_NAME_IN_QUOTES = re.compile(
    r'\\?["\'](\$\{?\w{1,100}\}?|\$\([\w.-]{1,100}\)|\$\{\{[^{}\n]{1,300}\}\}|[\w.-]{1,100}\.azurecr\.\w{2,5})\\?["\']'
    r'(?=\.azurecr\.|/[\w$"\'\\])'
)
_TAG_IN_QUOTES = re.compile(
    r'(/[\w.${}()-]{1,200}[:@])(\\?["\'])(sha256:[0-9a-f]{64}|[\w.-]{1,128}|\$\{?\w{1,100}\}?|\$\([\w.-]{1,100}\))\2'
    r'(?=[\s\\;)"\',`]|\Z)'
)
_WORD = re.compile(r'\S+')
_WORDS = re.compile(r'%[wWi](?:\[([^\[\]"]{0,20000})\]|\(([^()"]{0,20000})\))')


def with_escapes(text: str) -> str:
    """The text with `\\u002f`, `\\x2f` and `\\/` as what they mean; quotes and backslashes stay what they are."""
    return _ESCAPED.sub(_meant, text) if '\\' in text else text


def _meant(match: re.Match[str]) -> str:
    code = match['u'] or match['x']
    return chr(int(code, 16)) if code else '/'


def with_quotes(text: str) -> str:
    """Ruby's `%w[a b]` as `["a" "b"]`, on as many lines."""
    return (
        _WORDS.sub(lambda match: f'[{re.sub(_WORD, _quoted_word, match[1] or match[2])}]', text)
        if '%w' in text
        else text
    )


def without_inner_quotes(text: str) -> str:
    """The text without the quotes of shells in the middle of an image: `"$ACR".azurecr.io/app:"$TAG"`."""
    return _TAG_IN_QUOTES.sub(r'\1\3', _NAME_IN_QUOTES.sub(r'\1', text))


def with_expressions(text: str) -> str:
    """YAML of ytt with what its expressions say: `image: #@ data.values.registry + "/app:1"`."""
    return _EXPRESSION.sub(_said, text) if '#@ ' in text else text


def _said(match: re.Match[str]) -> str:
    texts = hole_texts(match[2])
    return f'{match[1]}"{texts[0]}"' if len(texts) == 1 and '"' not in texts[0] else match.group()


def with_directives(text: str) -> str:
    """A template of ERB and its cousins with the directives of Jinja, on as many lines."""
    return _ERB.sub(_directive, text)


def _directive(match: re.Match[str]) -> str:
    if match['said'] is not None:
        return f'{{{{ {match["said"].strip().lstrip("$")} }}}}'
    given = _GIVEN.match(match['done'] or '')
    said = f'{{% set {given[1]} = {given[2]} %}}' if given else '{% %}'
    return said + '\n' * match.group().count('\n')


def with_loops(text: str) -> str:
    """A batch file with its loops and variables spelled as in shells: `for %%i in (a b) do`, `%TAG%` and `!TAG!`.

    What is set only `if` something holds is set: all of the values of a name count.
    """
    text = _BATCH_LOOP.sub(lambda match: f'for {match[1]} in {match[2].replace(",", " ")}; ', text)
    return _LATE.sub(r'${\1}', _BATCH_NAME.sub(r'${\1}', _BATCH_IF.sub('', text)))


def with_aliases(text: str, beside: Scope | None) -> str:
    """Modules of Bicep with the places that `bicepconfig.json` gives to their aliases: `br/Team:storage:v1`."""

    def place(match: re.Match[str]) -> str:
        alias = f'moduleAliases.br.{match[1]}'
        known = beside is not None and beside.own(f'{alias}.registry')
        return f'br:${{{alias}.registry}}/${{{alias}.modulePath:-}}/{match[2]}' if known else match.group()

    return _ALIASED.sub(place, text)


def with_attributes(text: str) -> str:
    """A text of AsciiDoc with the values of its attributes: `:version: 1` and `{version}`."""
    values = dict(_ATTRIBUTE.findall(text))
    return _ATTRIBUTE_USE.sub(lambda match: values.get(match[1], match.group()), text) if values else text


def _quoted_word(match: re.Match[str]) -> str:
    return f'"{match.group()}",'


def without_blocks(text: str) -> str:
    """The text without the comments `<# ... #>` of PowerShell, on as many lines."""
    return re.sub(r'<#(?s:.*?)(?:#>|\Z)', lambda match: '\n' * match.group().count('\n'), text)


def _with_place(text: str) -> str:
    """A definition of Apptainer with the whole name of its base: `Registry:` and `Namespace:` stand on other lines."""
    places = [match[1].strip('/') for match in (_REGISTRY_LINE.search(text), _NAMESPACE_LINE.search(text)) if match]
    if not places:
        return text
    text = _NAMESPACE_LINE.sub('', _REGISTRY_LINE.sub('', text))
    return _FROM_LINE.sub(lambda match: f'{match[1]}{"/".join((*places, match[2]))}', text)


def _with_queue(text: str) -> str:
    """A job of HTCondor with its list as a loop of a shell: `queue name in (a, b)`."""
    return _QUEUE.sub(lambda match: f'for {match[1]} in {match[2].replace(",", " ")};', text)


OF_SCIENCE: Mapping[str, Callable[[str], str]] = {
    '.def': _with_place,
    '.sub': _with_queue,
    '.wdl': lambda text: text.replace('~{', '${').replace('<<<', '{').replace('>>>', '}'),
}
"""What makes files of workflows easier to read, by the ends of their names."""

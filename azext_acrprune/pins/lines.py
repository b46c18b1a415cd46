"""Texts of lines -> scopes: shells, Makefiles, Dockerfiles, settings (`key = value`), batch files, and tables.

A line gives a name a value, begins a section or a stage, or is a command with options.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .around import with_version
from .arrays import note_arrays
from .collector import Collector
from .documents import Inside
from .filling import may_name_image
from .functions import with_named_places, words
from .mentions import is_allowing
from .scopes import Scope, Use, Value
from .shell_commands import in_own_registry
from .text_tables import tables_of

_ASSIGNMENT = re.compile(
    r'\s*(?:(?:export|set|val|local|readonly|declare|setx|env|ENV|let|def|const|my|Environment|vars?)\s+(?:-\w+\s+)*)?'
    r'["\']?'
    r'\$?(?:env:)?(?P<name>[A-Za-z_][\w.-]{0,100})\s*(?P<sign>\?=|:=|::=|\+=|=|:(?=\s))\s*(?P<value>.*?)\s*\Z'
)
_BUILD_ARGUMENT = re.compile(r'\s*(?:ARG|ENV)\s+(?:--\w+\s+)?(.*)', re.IGNORECASE)
_UNIT_ENVIRONMENT = re.compile(r'^\s*Environment=(?=["\']?\w+=)')
_ARGUMENT = re.compile(r'(\w[\w.-]*)=("[^"]*"|\'[^\']*\'|\S*)')
_SEVERAL = re.compile(
    r'\s*(?:(?:export|local|declare|readonly|typeset)\s+)?'
    r'(?:\w{1,100}=(?:"[^"]*"|\'[^\']*\'|[^\s"\']+)(?:\s+|;|\Z)){2,}\Z'
)
_CASE = re.compile(r'^\s*[\w.*|"\'-]{1,100}\)\s+(?=\w+=)')
_DEFAULT_GIVEN = re.compile(r'\$\{(\w{1,100}):?=([^{}]{1,300})\}')
_TOUCHING = re.compile(r'(?<=\w[:/@])["\'](\$\{?\w{1,100}\}?)["\'](?=[\s:/;)]|\Z)')
"""What shells write in quotes right behind other text: `app:"$TAG"`."""

_TOUCHED = re.compile(r'["\'](\$[^\s"\']{1,200})["\']:["\']?([\w.$(){}-]{1,200})["\']?(?=[\s;)]|\Z)')
"""What shells write in quotes right before a tag: `"$IMAGE":v1`."""

_LOOP = re.compile(r'\s*for\s+(\w{1,100})\s+in\s+([^;$`*{}]{1,2000}?)\s*(?:;|\Z)')
_FUNCTION_DEFAULT = re.compile(r'(?:env_var_or_default|env)\(["\']\w+["\'],\s*["\']([^"\']*)["\']\)\Z')
_BRACKETED_FORMAT = re.compile(r'\((["\'][^"\']*["\']\s+-f\s+[^()]+)\)')
_DIRECTIVE = re.compile(r'\{\{[^{}]*\}\}')
_OLD_ENV = re.compile(r'(\w+)\s+(.+)')
_CHECKSUM = re.compile(r'SHA256: ([0-9a-fA-F]{64})\Z')
_SET_OPTION = re.compile(r'--set(?:-string|-literal)?(?:=|\s+)\S+')
_SECTION = re.compile(r'\s*\[{1,2}([^\[\]]{1,200})\]{1,2}\s*\Z')
_FROM = re.compile(r'\s*FROM\s+(?:--\S+\s+)*(\S+)', re.IGNORECASE)
_KEYED = re.compile(r'\s*["\']?(\w[\w.-]*/[\w./-]+)["\']?(?:\s*=\s*|:?\s+)["\']?([\w.:-]+)["\']?[,;]?\s*\Z')
_LABEL = re.compile(r'\s*LABEL\s', re.IGNORECASE)
_TARGET = re.compile(r'[\w.-]+:\s*\Z')
_HEREDOC = re.compile(r'<<[-~]?\s*["\']?([A-Za-z_]\w{0,50})["\']?')
_RUNS = re.compile(
    r'\b(?:run|pull|create|exec|set\s+image|copy|inspect|pulling|pulled|push)\b|--image\b|^\s*image\b', re.IGNORECASE
)
_LOGIN = re.compile(r'\b(?:log(?:in|out)|auth)\b', re.IGNORECASE)
_OPTION = re.compile(r'(?<=\s)--?([A-Za-z][\w-]{0,60})(?:=|\s+(?!-))((?:[^\s"\']|"[^"]*"|\'[^\']*\')+)')
_OCI = re.compile(r'oci://(?:\$\([\w.-]{1,100}\)|[^\s"\',;)])+')
_SET = re.compile(r'set(?:-string|-literal)?\Z')
_HELM = re.compile(r'\bhelm\b')
_NAME = re.compile(r'\$\{?\w{1,100}\}?')
_OCI_TAG = re.compile(r'(oci://[^\s"\'?]+)\?(?:[^\s"\']*&)?(tag|digest)=([^\s"\'&]+)')
_QUOTED = re.compile(r'["\'](.*)["\']\s*[,;]?\Z', re.DOTALL)
_TRAILING_COMMENT = re.compile(r'\s#\s.*\Z')
_HOLE_PS_FORMAT = re.compile(r'["\']([^"\']*\{0\}[^"\']*)["\']\s+-f\s+(.+)')
_SUM = re.compile(r'(?:[A-Za-z_]\w*|"[^"$]*"|\'[^\'$]*\')(?:\s+[+/]\s+(?:[A-Za-z_]\w*|"[^"$]*"|\'[^\'$]*\'))+\Z')
_SUM_PIECE = re.compile(r'[A-Za-z_]\w*|"[^"$]*"|\'[^\'$]*\'|/')
_TABLE_OF_IMAGES = re.compile(
    r'\s*\|(?:.{0,300}\b(?:image|registry|repository|tag|version|digest)\b){2}', re.IGNORECASE
)
_LONGEST_LINE = 20_000


@dataclass(frozen=True)
class Style:
    """How the lines of a language look: what begins a comment, what goes on in the next line, whether lines in brackets
    begin sections, and whether there are commands, stages of a build, its named targets, packages, and assignments.

    One that `explains` is for people: it names the registry, and images that stand for others, and uses none of them.
    """

    comments: tuple[str, ...] = ('#',)
    goes_on: tuple[str, ...] = ('\\',)
    sections: bool = False
    commands: bool = True
    stages: bool = False
    targets: bool = False
    packages: bool = False
    assigns: bool = True
    explains: bool = False


PLAIN = Style(commands=True)


def read_lines(
    text: str, collector: Collector, inside: Inside, style: Style, parent: Scope | None = None, first_line: int = 1
) -> None:
    """Hand the scopes of a text over: the whole, its sections or stages, and its commands."""
    reader = _LineReader(collector, inside, style, parent)
    lines = text.split('\n')
    if style.commands and '=(' in text:
        note_arrays(lines, reader.root, first_line)
    names_places = any(word in text for word in ('()', 'function ', 'read '))
    tables = tables_of(lines)
    if style.explains:
        collector.explains = bool(tables) or not any(_TABLE_OF_IMAGES.match(line) for line in lines)
    if style.commands and style.assigns and '$' in text and names_places:
        lines = with_named_places(lines, parent or reader.root, first_line)
    for table in tables:
        for number, entries in table.entries:
            reader.row(entries, first_line + number)
        lines = ['' if table.first <= number < table.end else line for number, line in enumerate(lines)]
    for number, line in _logical(lines, style):
        reader.line(line, first_line + number, lines, number)
    reader.end()


def _logical(lines: Sequence[str], style: Style) -> Iterator[tuple[int, str]]:
    """(number, text) of each line; one that goes on in the next is one with it."""
    waiting, start = '', 0
    for number, line in enumerate(lines):
        if waiting and line.lstrip().startswith('#'):
            continue
        start = start if waiting else number
        stripped = line.rstrip()
        going_on = len(waiting) < _LONGEST_LINE and number + 1 < len(lines)
        if stripped.endswith(style.goes_on) and not stripped.lstrip().startswith(style.comments) and going_on:
            waiting += stripped[:-1] if not waiting or waiting[-1:] == ' ' else stripped[:-1]
            continue
        yield start, waiting + (line.lstrip() if waiting and waiting[-1:] == ' ' else line)
        waiting = ''
    if waiting:
        yield start, waiting


class _LineReader:
    """Reads text line by line, and hands over scopes."""

    def __init__(self, collector: Collector, inside: Inside, style: Style, parent: Scope | None) -> None:
        self._collector = collector
        self._inside = inside
        self._style = style
        self.root = Scope(parent)
        self._scope = self.root
        self._skip_until = -1

    def end(self) -> None:
        if self._scope is not self.root:
            self._collector.closed(self._scope)
        self._collector.closed(self.root)

    def row(self, entries: dict[str, str], line: int) -> None:
        """Read a row of a table."""
        scope = Scope(self.root, 'row', line)
        for key, text in entries.items():
            value = Value(text, line)
            scope.add(key, value)
            if may_name_image(text):
                scope.uses.append(Use(key, value, key == 'image'))
                self._collector.mention(text, line, scope, key)
        self._collector.closed(scope)

    def line(self, text: str, line: int, lines: Sequence[str], number: int) -> None:
        if number < self._skip_until or not text.strip():
            return
        if self._is_comment(text, line):
            return
        text = _TRAILING_COMMENT.sub('', text) if '#' in self._style.comments else text
        if self._style.targets and _TARGET.match(text) or self._style.packages and text.startswith('PackageName:'):
            self._open('stage', line)
        if self._style.stages and self._stage(text, line):
            return
        section = _SECTION.match(text) if self._style.sections else None
        if section:
            self._open(section[1].rsplit('.', 1)[-1].strip('"\' '), line)
            return
        heredoc = _HEREDOC.search(text) if self._style.commands and '<<' in text else None
        if heredoc:
            self._heredoc(heredoc[1], lines, number, line)
        self._statement(text, line)

    def _is_comment(self, text: str, line: int) -> bool:
        stripped = text.lstrip()
        if self._style.stages and re.match(r'#\s*syntax\s*=', stripped, re.IGNORECASE):
            self._collector.look_at_line(stripped, line, runs=True)
            return True
        return stripped.lower().startswith(self._style.comments)

    def _open(self, key: str, line: int) -> None:
        if self._scope is not self.root:
            self._collector.closed(self._scope)
        self._scope = Scope(self.root, key, line)
        self.root.attach(self._scope)

    def _stage(self, text: str, line: int) -> bool:
        """A line of a Dockerfile that begins a stage, or gives build arguments their values."""
        begins = _FROM.match(text)
        if begins:
            if not self._style.targets:
                self._open('stage', line)
            scope = self._scope if self._style.targets else self.root
            scope.uses.append(Use('from', Value(begins[1], line), True))
            self._collector.mention(text, line, scope, 'from')
            return True
        arguments = _BUILD_ARGUMENT.match(text)
        if not arguments:
            return False
        pairs = _ARGUMENT.findall(arguments[1])
        old = _OLD_ENV.match(arguments[1])
        is_default = text.lstrip()[:3].upper() == 'ARG'
        for name, value in pairs or ([old.groups()] if old else []):
            self._assign(name, _unquoted(value), line, is_default)
        return True

    def _heredoc(self, mark: str, lines: Sequence[str], number: int, line: int) -> None:
        """Read a document that stands inside a script (`cat <<EOF`)."""
        end = next((at for at in range(number + 1, len(lines)) if lines[at].strip() == mark), None)
        if end is not None and self._inside('\n'.join(lines[number + 1 : end]), line + 1, self._scope):
            self._skip_until = end + 1

    def _statement(self, text: str, line: int) -> None:
        unit = _UNIT_ENVIRONMENT.match(text)
        for word in words(text[unit.end() :]) if unit else ():
            name, _, value = word.partition('=')
            self._assign(name, value, line)
        if unit:
            return
        text = _CASE.sub('', _TOUCHING.sub(r'\1', _TOUCHED.sub(r'\1:\2', text)))
        loop = _LOOP.match(text) if self._style.assigns else None
        if loop:
            for value in loop[2].split():
                self._scope.declare(loop[1], Value(_unquoted(value), line))
        for name, value in _DEFAULT_GIVEN.findall(text):
            self._assign(name, value, line)
        several = _ARGUMENT.findall(text) if self._style.assigns and _SEVERAL.match(text) else ()
        if len(several) > 1:
            for name, value in several:
                self._assign(name, _unquoted(value), line)
            return
        match = _ASSIGNMENT.match(text) if self._style.assigns else None
        if match and not _looks_like_command(match):
            value = _CHECKSUM.sub(r'\1', match['value'])
            self._assign(match['name'], _formatted(_unquoted(value)), line)
            if ' ' in _DIRECTIVE.sub('', value).strip('"\' ') and not is_allowing(match['name']):
                self._command(text, line)
            return
        for part in re.split(r'&&|\|\||;\s', text):
            self._command(part, line)

    def _assign(self, name: str, text: str, line: int, weak: bool = False) -> None:
        if text.startswith('$(') and ' ' in text:
            self._command(text, line)
            return
        if self._style.sections:  # settings of Java
            text = text.replace('\\:', ':').replace('\\=', '=')
        value = Value(_computed(_FUNCTION_DEFAULT.sub(r'\1', text)), line, weak)  # of just
        self._scope.add(name, value)
        if may_name_image(text):
            self._scope.uses.append(Use('image' if self._style.sections and name == 'image' else 'assigned', value))
        self._collector.mention(text, line, self._scope, name)

    def _command(self, text: str, line: int) -> None:
        """A command with its options; a name that belongs to one of them is put together with the others."""
        if _LOGIN.search(text):
            text = (
                re.sub(r'(?:--\S*(?:server|registry|name)\S*[= ]\s*)?\S*\.azurecr\.\S*', '', text)
                if '/' not in text
                else text
            )
        text = _BRACKETED_FORMAT.sub(lambda match: _formatted(match[1]), text)
        scope = Scope(self._scope, 'command', line)
        self._options(text, scope, line)
        keyed = _KEYED.match(text)
        if keyed and self._collector.is_repository(keyed[1]):
            text = with_version(Value(keyed[1], line), keyed[2]).text
        text = _OCI_TAG.sub(lambda match: f'{match[1]}{":" if match[2] == "tag" else "@"}{match[3]}', text)
        if 'version' in scope.entries and _HELM.search(text):  # its chart may be the value of a name
            for name in _NAME.findall(text):
                scope.add('chart', Value(name, line))
        text = _SET_OPTION.sub(' ', text)
        versions = scope.entries.get('version')
        if versions:
            text = _OCI.sub(lambda match: _with_version(match.group(), versions[0].text), text)
        if may_name_image(text):
            value = Value(text, line)
            describes = self._style.stages and _LABEL.match(text) is not None
            runs = bool(_RUNS.search(text)) or text.count('"') < 2 and ' ' not in text.strip()
            scope.uses.append(Use('label' if describes else 'command', value, runs and not describes))
        for image in in_own_registry(text, self._collector.names):
            scope.uses.append(Use('image', Value(image, line)))
        if not _LOGIN.search(text):
            self._collector.mention(text, line, scope)
        self._collector.closed(scope)

    def _options(self, text: str, scope: Scope, line: int) -> None:
        if '--' not in text and ' -' not in text:
            return
        for name, value in _OPTION.findall(text):
            value = _unquoted(value)
            if _SET.match(name):
                self._set(value, scope, line)
            elif may_name_image(value) or name in ('version', 'tag', 'image-tag', 'digest') or 'registry' in name:
                scope.add('version' if name == 'version' else name, Value(value, line))

    def _set(self, text: str, scope: Scope, line: int) -> None:
        """`--set image.tag=v1,image.repository=...`, as Helm has it."""
        for part in text.split(','):
            name, sign, value = part.partition('=')
            if sign:
                scope.pairs.setdefault('set', []).append((name, Value(_unquoted(value), line)))


def _with_version(url: str, version: str) -> str:
    """The URL of a chart with the version that an option gives it."""
    whole = ':' in url.rpartition('/')[2] or '@' in url
    return url if whole else f'{url}:{version.replace("+", "_")}'


def _looks_like_command(match: re.Match[str]) -> bool:
    """`docker run -e A=b` is no assignment, and neither is `name: value` of a sentence."""
    return match['sign'] == ':' and ' ' in _CHECKSUM.sub('', match['value'])


def _unquoted(text: str) -> str:
    match = _QUOTED.match(text)
    return match[1] if match else text.rstrip(',;')


def _computed(text: str) -> str:
    """`registry / "app:" + tag`, as just has it."""
    if not _SUM.match(text):
        return text
    return ''.join(piece.strip('"\'') if piece[0] in '"\'/' else f'${{{piece}}}' for piece in _SUM_PIECE.findall(text))


def _formatted(text: str) -> str:
    """PowerShell's `"{0}/app:{1}" -f $registry, $tag`, and what Windows writes `set "TAG=2"`."""
    match = _HOLE_PS_FORMAT.match(text)
    if not match:
        return text
    values = [value.strip().strip('"\'') for value in match[2].split(',')]
    return re.sub(r'\{(\d)\}', lambda number: values[int(number[1])] if int(number[1]) < len(values) else '', match[1])

"""Files shaped like public ones, with what a person sees pinned in them, and how much of it is read.

`python -m tests.pin_shapes` prints the shares, overall and by kind; with the name of a kind also what is wrong.
Needless are the warnings in a case in which everything is found, and nothing is to be warned of.
A registry is asked, too, as each command with pins does: it has the images of all cases. `--text` leaves that out.
`--folder FOLDER` measures another corpus instead, of `.txt` files or as `foreign_cases` reads it.

A case of a `.txt` file is `#### case: NAME`, one or more `#### file: PATH` with its text (`-` is standard input), and
`#### pins:` with a line for each reference, written before any reader was tried on it:

    REPOSITORY[:TAG][@FIRST DIGITS OF THE DIGEST]    an image that is in use
    ~ REPOSITORY                                     an image of which nobody can tell the tag: a warning is right
    o REPOSITORY[:TAG]                               may be a pin or not

    ~ #NUMBER                                        so many places need a warning, whichever they are

In texts, a digit between guillemets stands for the 64 hexadecimal digits of a digest: they begin with it, and each case
has its own.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from azext_acrprune.model import Content, Manifest, Repository, Tag
from azext_acrprune.pins.in_pieces import with_joined
from azext_acrprune.pins.pinned import Found, Pin, Pins
from azext_acrprune.pins.references import Reference, RegistryNames
from azext_acrprune.sources.pin_files import SourceError, read_files

FOLDER = Path(__file__).with_name('pin_corpus_shapes')
NAMES = RegistryNames('myreg.azurecr.io', ('images.contoso.com',))
FOUND, WARNED, SILENT, FALSE = 'found', 'missed with a warning', 'missed in silence', 'false'
NEEDLESS = 'needless warnings'


@dataclass(frozen=True)
class Case:
    """Files that belong together, and the lines of what they pin."""

    kind: str
    name: str
    files: dict[str, str]
    pins: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """What became of each expected line, the pins that nobody expected, and how many warnings there are."""

    outcomes: dict[str, str]
    false: tuple[str, ...]
    warnings: int = 0

    @property
    def is_needless(self) -> bool:
        """Whether there are warnings although everything was found, and nothing is to be warned of."""
        needed = any(line.startswith('~ ') or outcome != FOUND for line, outcome in self.outcomes.items())
        return bool(self.warnings) and not needed

    def count(self) -> Counter[str]:
        return Counter(self.outcomes.values()) + Counter({FALSE: len(self.false)})


def cases(folder: Path = FOLDER) -> Iterator[Case]:
    for path in sorted(folder.glob('*.txt')):
        for part in path.read_text(encoding='utf-8').split('#### case: ')[1:]:
            of_case = hashlib.sha256(part.encode()).hexdigest()[:48]
            text = re.sub('«([0-9a-f])»', lambda match, rest=of_case: match[1] * 16 + rest, part)
            head, _, pins = text.partition('#### pins:\n')
            name, *files = head.split('#### file: ')
            pairs = [file.split('\n', 1) for file in files]
            yield Case(path.stem, name.strip(), dict(pairs), tuple(pins.split('\n')[:-1]))


def foreign_cases(folder: Path) -> Iterator[Case]:
    """The cases of a corpus that is not in the repository: `FOLDER/files`, and `FOLDER/expected.yaml` with
    `PATH: {kind, pins: [REPOSITORY:TAG or REPOSITORY@sha256:...], also_ok: [...], unresolvable: NUMBER, set: NAME}`.
    Files of one set are read together.
    """
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for path, told in yaml.safe_load((folder / 'expected.yaml').read_text(encoding='utf-8')).items():
        groups.setdefault(told.get('set', path), {})[path] = told
    for name, group in groups.items():
        texts = {path: (folder / 'files' / path).read_text(encoding='utf-8') for path in group}
        pins = [pin.replace('@sha256:', '@') for told in group.values() for pin in told['pins']]
        pins += [f'o {pin}'.replace('@sha256:', '@') for told in group.values() for pin in told.get('also_ok', ())]
        unknown = sum(told.get('unresolvable', 0) for told in group.values())
        pins += [f'~ #{number}' for number in range(1, unknown + 1)]
        yield Case('some' if pins else 'none', name, texts, tuple(dict.fromkeys(pins)))


def read_case(case: Case, names: RegistryNames = NAMES) -> Found:
    """What all files of a case say together, read as a user has them read."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in case.files.items():
            path = Path(folder, name if name != '-' else 'stdin')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding='utf-8')
        try:
            if '-' in case.files:
                return read_files(['-'], names, io.BytesIO(case.files['-'].encode()))[0]
            return read_files([folder], names)[0]
        except SourceError:
            return Found()


def registry_of(every: Iterable[Case]) -> list[Repository]:
    """A registry that has all images that cases expect."""
    tags: dict[str, dict[str, Tag]] = {}
    manifests: dict[str, dict[str, Manifest]] = {}
    for case in every:
        digests = {f'sha256:{each}' for text in case.files.values() for each in re.findall(r'\b[0-9a-f]{64}\b', text)}
        for line in case.pins:
            repository, tag, digest = _parts(_text(line))
            if tag:
                tags.setdefault(repository, {})[tag] = Tag(tag, f'sha256:{0:064}')
            if digest:
                known = {each: Manifest(each, Content(0)) for each in digests if each[7:].startswith(digest)}
                manifests.setdefault(repository, {}).update(known)
    return [Repository(name, manifests.get(name, {}), tags=tags.get(name, {})) for name in sorted({*tags, *manifests})]


def scored(case: Case, names: RegistryNames = NAMES, repositories: Sequence[Repository] = ()) -> Score:
    """`repositories` are those of the registry, where it is asked too: what is not certain counts where it is there."""
    found = read_case(case, names)
    if repositories:
        there = {each.name: {*each.tags, *each.manifests} for each in repositories}
        pins = with_joined(Pins(found.pins, words=found.words), repositories).pins
        found = replace(found, pins=tuple(pin for pin in pins if pin.reference.certain or _is_there(pin, there)))
    lines = [text.split('\n') for text in case.files.values()]
    warned = [(problem.message, _line(lines, problem.line)) for problem in found.problems]
    pinned = [pin.reference for pin in found.pins]
    maybe = [_text(line) for line in case.pins if line.startswith('o ')]
    outcomes = {line: _outcome(line, pinned, warned, maybe) for line in case.pins if not line.startswith('o ')}
    false = {_shown(pin) for pin in pinned if not any(_is_part(_text(line), pin) for line in case.pins)}
    return Score(outcomes, tuple(sorted(false)), len(found.problems))


def _is_there(pin: Pin, there: dict[str, set[str]]) -> bool:
    return not there.get(pin.reference.repository, set()).isdisjoint((pin.reference.tag, pin.reference.digest))


def _outcome(line: str, pinned: list[Reference], warned: list[tuple[str, str]], maybe: list[str]) -> str:
    unknown, text = line.startswith('~ '), _text(line)
    if unknown and any(_parts(each)[0] == text and any(_is(each, pin) for pin in pinned) for each in maybe):
        return FOUND
    if not unknown and any(_is(text, pin) for pin in pinned):
        return FOUND
    if text.startswith('#'):
        return FOUND if len({place for _, place in warned}) >= int(text[1:]) else SILENT
    name = re.split('[:@]', text)[0].rsplit('/', 1)[-1].lower()
    if any(name in place.lower() or name in message.lower() for message, place in warned):
        return FOUND if unknown else WARNED
    return SILENT


def _text(line: str) -> str:
    """The reference of an expected line."""
    return line[2:] if line.startswith(('o ', '~ ')) else line


def _line(files: list[list[str]], number: int) -> str:
    """The text at a line, of whichever file it is."""
    return '\n'.join(lines[number - 1] for lines in files if 0 < number <= len(lines))


def _parts(text: str) -> tuple[str, str, str]:
    name, _, digest = text.partition('@')
    repository, _, tag = name.partition(':')
    return repository, tag, digest


def _is(text: str, pin: Reference) -> bool:
    repository, tag, digest = _parts(text)
    if digest:
        return pin.repository == repository and (pin.digest or '')[7:].startswith(digest)
    return (pin.repository, pin.tag) == (repository, tag)


def _is_part(text: str, pin: Reference) -> bool:
    repository, tag, digest = _parts(text)
    same = bool(digest) and (pin.digest or '')[7:].startswith(digest)
    return pin.repository == repository and (same or bool(tag) and pin.tag == tag)


def _shown(pin: Reference) -> str:
    return f'{pin.repository}{":" + pin.tag if pin.tag else ""}{"@" + pin.digest[7:11] if pin.digest else ""}'


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog='python -m tests.pin_shapes')
    parser.add_argument('kinds', nargs='*', help='Kinds of which to show what is wrong; `all` for every kind.')
    parser.add_argument('--folder', type=Path, help='Another corpus, see above.')
    parser.add_argument('--registry', default='myregistry.azurecr.io', help='The registry in that other corpus.')
    parser.add_argument('--text', action='store_true', help='What the text of the files tells, and no registry.')
    given = parser.parse_args(arguments)
    is_foreign = given.folder and (given.folder / 'expected.yaml').exists()
    names = RegistryNames(given.registry) if is_foreign else NAMES
    totals: dict[str, Counter[str]] = {}
    every = list(foreign_cases(given.folder) if is_foreign else cases(given.folder or FOLDER))
    repositories = () if given.text else registry_of([*every, *cases()])
    for case in every:
        score = scored(case, names, repositories)
        counts = Counter({'files': len(case.files), 'cases': 1, NEEDLESS: int(score.is_needless)})
        totals.setdefault(case.kind, Counter()).update(score.count() + counts)
        if case.kind in given.kinds or 'all' in given.kinds:
            _show_wrong(case, score)
    _show_shares({**totals, 'all': sum(totals.values(), Counter())})


def _show_wrong(case: Case, score: Score) -> None:
    wrong = {line: outcome for line, outcome in score.outcomes.items() if outcome != FOUND}
    if wrong or score.false:
        print(f'{case.kind} / {case.name}', *(f'\n    {wrong[line]}: {line}' for line in wrong), sep='')
        print(*(f'    {FALSE}: {pin}\n' for pin in score.false), sep='', end='')


def _show_shares(totals: dict[str, Counter[str]]) -> None:
    print(f'{"kind":14} {"files":>6} {"expected":>9} {FOUND:>7} {WARNED:>22} {SILENT:>18} {FALSE:>6} {NEEDLESS:>18}')
    for kind, counts in totals.items():
        expected = counts[FOUND] + counts[WARNED] + counts[SILENT]
        shares = [f'{100 * counts[what] / max(1, expected):.1f} %' for what in (FOUND, WARNED, SILENT, FALSE)]
        needless = f'{100 * counts[NEEDLESS] / counts["cases"]:.1f} %'
        numbers = f'{kind:14} {counts["files"]:6} {expected:9} {shares[0]:>7} {shares[1]:>22} {shares[2]:>18}'
        print(f'{numbers} {shares[3]:>6} {needless:>18}')


if __name__ == '__main__':
    main()

"""What scopes and their texts pin: images that are whole, images in parts, and names of the registry without an image.

Readers of YAML, of code and of lines hand their scopes over when they end. Whatever needs a value that may still come
waits for the end of the document.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..spelling import printable
from .around import group_and_part, in_registry_around, is_name_and_tag, plain
from .charts import Charts
from .declarations import LOOP_KEYS, declare, given_by_environments, note_loop, outermost, pair_of, resources
from .filling import filled, has_holes
from .hubs import Hubs
from .kubeadm import component_images, is_cluster, is_component, may_be_component
from .mentions import IMAGE_PARTS, Mentions, is_allowing, is_watched, names_without_host
from .overlays import Base, take_parts
from .parts import ALONE, images, keys_are_enough, may_be_parts, must_wait
from .pinned import NOT_RESOLVED, Found, Problem, found_in, merged
from .references import (
    NO_TAG,
    Finding,
    Reference,
    RegistryNames,
    Unresolved,
    find_references,
    mentions,
    split_repository,
    with_host_once,
)
from .scopes import DECLARING, DOCUMENTS, HOISTING, Filled, Place, Scope, Use, Value
from .silent import CHILD_PARTS, FILLED_IN, is_dull, is_plain, is_silent

_RUNS = ('image', 'imageid', 'container', 'uses', 'from', 'baseimage', 'images', 'containers', 'dockerpull')
_SELECTING = frozenset(('tagselection', 'semverconstraint', 'constraint', 'allowtags', 'imageselectionstrategy'))
"""Keys that say which tag is taken: one of vendir, kapp and Kargo, and it is not known which."""

_IN_COMMAND = re.compile(r'\$\{?\w*(?:reg|acr|hub)\w*\}?/[a-z0-9]', re.IGNORECASE)
_ONE = (Value('1'),)
_DIGIT = re.compile(r'[\d$]')
"""Tags without one are those of GitLab's runners, and none of images."""

_OPEN_TAG = re.compile(r'[:@](?:%[sdv]|\{\d?\})\Z')
"""A place in a text that a function fills in."""

_MOST_PAIRS = 1_000
_MOST_PLACES = 50
"""How many places of one image are noted in a file: a list of pods may name it ten thousand times."""


@dataclass(frozen=True, slots=True)
class _Bare:
    """A repository that stands without a tag, or with a place for one."""

    text: str
    line: int
    key: str
    why: str = NO_TAG


class Collector:
    """Takes scopes that have ended; `found` is all that they pin.

    One that is not `patient` waits for no values, for a list of a hundred thousand pods would wait as a whole. A file
    that `explains` uses no image but those that it names in full: it is for people, and has no tables.
    """

    def __init__(self, source: str, names: RegistryNames) -> None:
        self.names = names
        self.patient = True
        self.explains = False
        self.around: Scope | None = None
        self.bases: Sequence[Base] = ()
        self._source = source
        self._found: list[Found] = []
        self._waiting: list[tuple[Scope, list[Use]]] = []
        self._mentions = Mentions(names)
        self._bare: list[_Bare] = []
        self._spoken: set[Place] = set()
        self._told: set[str] = set()
        self._places: Counter[Finding] = Counter()
        self._clusters: list[Scope] = []
        self._declared: list[tuple[Filled, Use]] = []
        self._charts = Charts()
        self._hubs = Hubs(names)

    def closed(self, scope: Scope) -> None:
        """Look at a scope that is complete, or let it wait for values that stand further down."""
        if self.around is not None and scope.parent is self.around:
            self.around.children.setdefault(DOCUMENTS, []).append(scope)
        if self.bases and self.around is not None:
            take_parts(scope, self.around, self.bases)
        if is_cluster(scope) and len(self._clusters) < _MOST_PLACES:
            self._clusters.append(scope)
        plain = is_plain(scope, self.names)
        if plain and not scope.uses:
            return
        if not plain:
            self._note(scope)
        uses = scope.uses if plain else self._own_uses(scope)
        if self.patient and self._has_to_wait(scope, uses):
            self._waiting.append((scope, uses))
        else:
            self._look(scope, uses)

    def _note(self, scope: Scope) -> None:
        """Note what a scope means for others, and what others in the document may mean for it."""
        if scope.pairs or '.' in ''.join(scope.entries):
            self._join_pairs(scope)
        if scope.key.startswith('images') and scope.parent is not None and self.names.has(scope.parent.key):
            self._synced(scope)
        if scope.items or not LOOP_KEYS.isdisjoint(scope.entries):
            note_loop(scope)
        self._hand_up(scope)
        self._charts.note(scope)
        self._hubs.note(scope)
        for text, line in resources(scope) if 'source' in scope.children else ():
            for each in filled(text, scope):
                self._add(find_references(each.text, self.names), line, each.lines)

    def _has_to_wait(self, scope: Scope, uses: Iterable[Use]) -> bool:
        """Whether a value may stand further down."""
        if any(has_holes(use.value.text) or not scope.listed and is_name_and_tag(use.value.text) for use in uses):
            return True
        return may_be_component(scope) or may_be_parts(scope) and must_wait(scope, self.names)

    def found(self) -> Found:
        """All pins and problems, with a problem for each name of the registry that led to no image."""
        waiting, self._waiting = self._waiting, []
        for scope, uses in waiting:
            self._look(scope, uses)
        for text, line, place in self._charts.used():
            self._add(find_references(text, self.names), line, frozenset((place,)))
        for finding, value, places in self._hubs.used():
            self._add([finding], value.line, places)
        for cluster in self._clusters:
            for finding, line, places in component_images(cluster, self.names):
                self._add([finding], line, places)
        self._look_at_declared()
        silent = self._mentions.unexplained(self._spoken, any(found.pins for found in self._found))
        bare = [each for each in dict.fromkeys(self._bare) if not self._is_explained(each)]
        known = {each.line for each in self._bare}
        problems = [
            self._unused(f"'{printable(each.text)}' cannot be followed: {each.why}", each.line) for each in bare
        ]
        problems += [
            self._unused(f"'{printable(text)}' names this registry, and no image with it can be read", line)
            for line, text in silent.items()
            if line not in known
        ]
        if self._mentions.named == ALONE and self.around is not None:
            problems += [
                self._unused(
                    f"'{printable(value.text)}' may be in this registry, and no tag of it can be read", value.line
                )
                for value in names_without_host(self.around.children.get(DOCUMENTS, ()), self._spoken)
            ]
        used = frozenset(place for place in self._spoken if isinstance(place, tuple))
        return merged((*self._found, Found(problems=tuple(problems), used=used)))

    def _look_at_declared(self) -> None:
        """A name without a tag that is given to a variable means `latest`, unless a text puts a tag behind it."""
        for text, use in [
            (text, use)
            for text, use in self._declared
            if not (use.value.line in self._spoken and self._is_told(text.text.strip(), below=False))
        ]:
            self._add(find_references(text.text, self.names, use.runs), use.value.line, text.lines)

    def _is_explained(self, bare: _Bare) -> bool:
        """Whether a repository without a tag is known: at its line, or where its key is not one of images."""
        text = _OPEN_TAG.sub('', bare.text)
        if bare.line in self._spoken:
            return self._is_told(text)
        return group_and_part(bare.key)[1] not in (*IMAGE_PARTS, 'registry') and self._is_told(text, below=False)

    def _is_told(self, text: str, below: bool = True) -> bool:
        """Whether anything is said of a repository, or of one that is below it."""
        path = f'/{split_repository(text, self.names)}'
        ends = r'(?![\w.-])' if below else r'(?![\w./-])'
        return any(re.search(re.escape(path) + ends, told) for told in self._told)

    def _unused(self, message: str, line: int) -> Problem:
        return Problem(message, self._source, line, NOT_RESOLVED, unused=True)

    def say(self, problem: Problem) -> None:
        self._found.append(Found(problems=(problem,)))

    def mention(self, text: str, line: int, scope: Scope | None = None, key: str = '') -> None:
        """Note a text that names the registry; unless an image is read there, somebody has to hear of it."""
        if not self.explains:
            self._mentions.note(text, line, scope, key, self.patient)

    def is_silent(self, text: str) -> bool:
        """Whether a text, wherever it stands, is no image and does not name the registry."""
        return is_silent(text, self.names)

    def is_dull(self, key: str, mapping: str) -> bool:
        """Whether a flat mapping, as the JSON of an item of a list, says nothing at all."""
        return not self.patient and is_dull(key, mapping, self.names)

    def names_registry(self, text: str) -> bool:
        return mentions(text, self.names)

    def is_repository(self, text: str) -> bool:
        """Whether a text is the name of a repository of the registry, and says neither a tag nor a digest."""
        return split_repository(text, self.names) is not None

    def settings(self, text: str, line: int, scope: Scope, key: str) -> None:
        """Note the names and values of `image.repository=x,image.tag=y`."""
        for part in text.replace('\n', ',').split(','):
            name, sign, value = part.strip().partition('=')
            if sign:
                scope.pairs.setdefault(f'{key}=', []).append((name, Value(value, line)))

    def _join_pairs(self, scope: Scope) -> None:
        """Names and values of lists, and names with dots, as scopes of their own."""
        for key, pairs in scope.pairs.items():
            if key.lower() in DECLARING:
                for name, value in pairs:
                    scope.declare(name, value)
            self._tree(scope, key, pairs)
        entries = [(key, value) for key, values in scope.entries.items() if '.' in key for value in values]
        dotted = [(key, value) for key, value in entries if '\n' not in value.text]
        if len(dotted) > 1:
            self._tree(scope, '', dotted)

    def _tree(self, parent: Scope, key: str, pairs: list[tuple[str, Value]]) -> None:
        """`image.tag` is the tag in the scope `image`; names without dots stand beside each other."""
        scopes: dict[str, Scope] = {'': Scope(parent, key)}
        if '/' in parent.key and self.is_repository(parent.key):  # Salt: a mapping of it, with a list of settings
            scopes[''].entries['repository'] = list(parent.entries.get('repository', ()))
            scopes[''].uses, parent.uses = [use for use in parent.uses if not use.key], []
        for name, value in pairs:
            place, _, last = name.rpartition('.')
            if place not in scopes:
                scopes[place] = Scope(parent, place)
                if place.partition('.')[0] == 'global':  # it is for the images of the other names too
                    parent.children.setdefault('global', []).append(scopes[place])
            scopes[place].add(last, value)
            if '/' in value.text:
                scopes[place].uses.append(Use(last, value))
        for scope in scopes.values():
            self.closed(scope)

    def _synced(self, scope: Scope) -> None:
        """`myreg.azurecr.io: {images: {app: [v1]}}`, as skopeo has it."""
        for repository, tags in scope.entries.items():
            for tag in tags:
                sign = '@' if tag.text.startswith('sha256:') else ':'
                text = f'{self.names.login_server}/{repository}{sign}{tag.text}'
                whole = scope.key == 'images'
                any_of = Unresolved(text, 'it means any of several tags')  # `images-by-tag-regex`
                self._add(find_references(text, self.names) if whole else [any_of], tag.line)

    def _hand_up(self, scope: Scope) -> None:
        """What a scope says for its parent: declared names, pairs of names and values, and parts of an image."""
        parent = scope.parent
        if parent is None:
            return
        key = scope.key.lower()
        if key in DECLARING or key in HOISTING:
            declare(parent, scope)
        if scope.listed and scope.items and 'name' in scope.entries:  # Azure Pipelines: a parameter that is a list
            for name in scope.items.keys() & {'default', 'value', 'values'}:
                for item in scope.items[name]:
                    parent.list_item(item, scope.entries['name'][0].text)
        elif scope.items and parent.key == 'parameters':  # resource manager templates
            for name in scope.items.keys() & {'value', 'defaultValue'}:
                for item in scope.items[name]:
                    parent.list_item(item, scope.key)
        if key in HOISTING:
            for name, values in scope.declared.items():
                for value in values:
                    parent.declare(name, value)
        if key == 'substitute':  # Flux: for the objects of other documents
            declare(outermost(scope), scope)
        if self._is_of_all(scope):
            declare(outermost(scope), scope)
        if key == 'environments':  # helmfile: `{staging: {values: [{tag: 1}]}}`
            for name, value in given_by_environments(scope):
                outermost(scope).declare(name, value)
        if scope.listed and len(scope.entries) == 1:  # Salt: `[{name: ...}, {tag: ...}]`
            (name, values), pairs = next(iter(scope.entries.items())), parent.pairs.setdefault(scope.key, [])
            if group_and_part(name)[1] and len(values) == 1 and len(pairs) < _MOST_PAIRS:
                pairs.append((name, values[0]))
        for name, part in CHILD_PARTS.get(scope.key, {}).items():
            if name in scope.entries and part not in parent.entries:
                parent.entries[part] = list(scope.entries[name])

    def _is_of_all(self, scope: Scope) -> bool:
        """Whether a scope declares names for all documents: `variables` of a project, `inputs` of a `spec`."""
        parent = scope.parent
        if not self.patient or parent is None:
            return False
        of_document = self.around is not None and parent.parent is self.around
        key = scope.key.lower()
        return (
            of_document
            and key in ('variables', 'vars')
            or key == 'variables'
            and parent.key == 'environments'
            or (key == 'inputs' and parent.key == 'spec')
        )

    def _own_uses(self, scope: Scope) -> list[Use]:
        """The texts that a scope has to look at itself; those of a pair are for its parent, under its name."""
        pair = pair_of(scope)
        if pair is None or scope.parent is None:
            return scope.uses
        name, value = pair
        pairs = scope.parent.pairs.setdefault(scope.key, [])
        if len(pairs) < _MOST_PAIRS:
            pairs.append((name, value))
        return [use for use in scope.uses if use.value is not value]

    def _look(self, scope: Scope, uses: Iterable[Use]) -> None:
        if is_component(scope):
            return
        joined: set[Value] = set()
        if keys_are_enough(tuple(scope.entries), tuple(scope.children)):
            for made in images(scope, self.names, self._mentions.named):
                line = _own_line(scope) if made.repository.file else made.repository.line
                self._add([made.finding], line, made.lines)
                joined.add(made.repository)
        for use in uses:
            if 'newName' in scope.entries and use.key == 'name':
                self._spoken.add(use.value.line)
            else:
                self._use(use, scope, use.value in joined)

    def _use(self, use: Use, scope: Scope, joined: bool) -> None:
        for text in filled(use.value.text, scope):
            if '/' in text.text or 'pkg:' in text.text:
                if text.text != use.value.text:  # a value may have brought the name of the registry in
                    self.mention(text.text, use.value.line, scope, use.key)
                self._text(text, use, scope, joined)

    def _text(self, text: Filled, use: Use, scope: Scope, joined: bool) -> None:
        bare = split_repository(text.text, self.names) is not None
        if bare and (joined and not _runs_latest(use, scope) or self._is_no_pin(scope, use)):
            self._spoken.add(use.value.line)
            return
        if bare and is_watched(scope):
            self._watched(text.text, use.value.line)
            return
        if bare and (_is_output(use, scope) or _selects(scope) or not (use.runs or is_run(use.key))):
            self._bare += [] if self.explains else [_Bare(text.text.strip(), use.value.line, use.key)]
            return
        if bare and self.patient and scope.key.lower() in DECLARING:
            self._declared.append((text, use))
            return
        findings = find_references(text.text, self.names, use.runs)
        if not findings and _has_open_host(text.text, use):
            findings = [Unresolved(text.text.strip(), 'its registry is filled in by another tool')]
        may_be = not findings and (is_run(use.key) or use.key == 'argument')
        below = in_registry_around(text.text, scope, self.names) if may_be else None
        if below:
            findings = [
                replace(each, certain=False) if isinstance(each, Reference) else each
                for each in find_references(below.text, self.names)
            ]
        if joined or is_allowing(use.key):
            findings = [finding for finding in findings if isinstance(finding, Reference)]
        lines = text.lines | (below.lines if below else frozenset())
        self._add(findings, use.value.line, lines, 'label' if use.key == 'label' else 'image')

    def _is_no_pin(self, scope: Scope, use: Use) -> bool:
        """Whether a repository is allowed or mirrored where it stands, and run nowhere."""
        if use.key in ('target', 'destination') and 'source' in scope.entries:  # what a copy makes
            return True
        return any(is_allowing(key) for key in (use.key, *(each.key for each in scope.around())))

    def _watched(self, text: str, line: int) -> None:
        """Something looks at a repository and runs nothing of it: somebody does, most likely, with a tag of its own."""
        self._spoken.add(line)
        repository = split_repository(text, self.names) or ''
        message = f"'{printable(text)}' is watched, and no image of it is pinned"
        self.say(Problem(message, self._source, line, NOT_RESOLVED, repository=repository))

    def _add(
        self, findings: Iterable[Finding], line: int, lines: frozenset[Place] = frozenset(), key: str = 'image'
    ) -> None:
        said = []
        for finding in (meant for each in findings for meant in with_host_once(each, self.names)):
            if self.explains and _is_of_sentence(finding):
                continue
            if isinstance(finding, Unresolved) and finding.why == NO_TAG:
                self._bare.append(_Bare(finding.text, line, key))
            elif isinstance(finding, Unresolved) and _OPEN_TAG.search(finding.text):
                self._bare.append(_Bare(finding.text, line, 'format', finding.why))
            else:
                said.append(finding)
        if said:
            self._spoken.update(lines, (line,))
            self._places.update(said)
            said = [finding for finding in said if self._places[finding] <= _MOST_PLACES]
        if said:
            self._told.update(
                f'/{finding.repository}' if isinstance(finding, Reference) else finding.text for finding in said
            )
            self._found.append(found_in(said, self._source, line))

    def look_at_line(self, text: str, line: int, runs: bool = False) -> None:
        """Look for references in a line that no reader understands."""
        self._add(find_references(text, self.names, runs), line)


def _own_line(scope: Scope) -> int:
    """The line of the first part of an image that a scope says itself, and takes from no other file."""
    return next((value.line for values in scope.entries.values() for value in values if not value.file), scope.line)


def _runs_latest(use: Use, scope: Scope) -> bool:
    return use.key == 'image' and not any(_DIGIT.search(tag.text) for tag in scope.entries.get('tags', _ONE))


def _is_output(use: Use, scope: Scope) -> bool:
    """Whether a build makes the image and tags it."""
    return scope.key == 'artifacts' or use.key == 'images' and 'tags' in scope.entries


def _selects(scope: Scope) -> bool:
    return any(plain(key) in _SELECTING for key in (*scope.entries, *scope.children))


def _has_open_host(text: str, use: Use) -> bool:
    if use.runs:
        return _IN_COMMAND.search(text) is not None
    return use.key != '' and is_run(use.key) and FILLED_IN.match(text) is not None


def is_run(key: str) -> bool:
    """Whether an image under this key is run as it stands there, so that one without a tag means `latest`."""
    return not key or plain(key).endswith(_RUNS)


def _is_of_sentence(finding: Finding) -> bool:
    """Whether it means nothing where people are told of images: no place for a value, or a tag with the full stop."""
    if isinstance(finding, Unresolved):
        return not finding.is_open
    return not finding.certain and (finding.tag or '').endswith('.')

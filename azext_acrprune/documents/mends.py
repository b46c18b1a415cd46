"""What mends a finding: a command if it is sure to work and deletes nothing that may be of use, else advice.

A command that deletes says on what condition, and looks again before it does.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from ..decide.bonds import opaque
from ..decide.ghosts import with_doubtful_ghosts
from ..decide.graph import Graph, user_tags, walk
from ..decide.health import (
    EMPTY_INDEX,
    GHOST,
    LEFT_UNLOCKED,
    LOCK_CODES,
    MANIFEST_LOCKED_ALONE,
    MISSING_CHILDREN,
    ORPHAN_ATTACHMENT,
    ORPHAN_REFERRER,
    ORPHAN_TAG,
    SIZE_MISMATCH,
    TAG_LOCKED_ALONE,
    UNREADABLE_MANIFEST,
    Everywhere,
    Finding,
    GraphOf,
)
from ..decide.manifests import is_digest
from ..decide.only_if import IF_GHOST, IF_ORPHAN, IF_PARTIAL, why_careful, why_not
from ..decide.verdicts import lock_on, lock_on_tag
from ..model import Inventory, Repository

_FLAGS = {'deleteEnabled=false': ('--delete-enabled', 'false'), 'writeEnabled=false': ('--write-enabled', 'false')}

_BY_HAND = (UNREADABLE_MANIFEST, SIZE_MISMATCH)
"""Only people can tell which of the manifests is wrong, and whether it can be pulled all the same."""

_CONDITIONS = {
    GHOST: IF_GHOST,
    MISSING_CHILDREN: IF_PARTIAL,
    ORPHAN_ATTACHMENT: IF_ORPHAN,
    ORPHAN_REFERRER: IF_ORPHAN,
    ORPHAN_TAG: IF_ORPHAN,
}
"""What is deleted to mend a finding, on which condition. All else that is broken, people mend themselves."""

_ADVICE = {
    GHOST: 'Delete what is left of it. If it stays listed all the same, only the support of Azure can remove it.',
    UNREADABLE_MANIFEST: 'Check it again later. If its bytes are damaged, push the image again under another digest, '
    'and delete this one. Until then nothing that it may need is cleaned up.',
    MISSING_CHILDREN: 'Push the image again with all its platforms. If nobody needs the others, delete it.',
    EMPTY_INDEX: 'Push the image again. If nobody needs it, delete it.',
    SIZE_MISMATCH: 'See whether it can be pulled. If not, build the image again, push it, and delete this one.',
    ORPHAN_ATTACHMENT: 'Delete it, or push its image again.',
    ORPHAN_REFERRER: 'Delete it, or push its subject again.',
    ORPHAN_TAG: 'Remove the tag, or push its image again.',
    TAG_LOCKED_ALONE: 'Lock the manifest too, or unlock the tag.',
    MANIFEST_LOCKED_ALONE: 'Lock the tag too, or unlock the manifest.',
    LEFT_UNLOCKED: 'Lock it again. The next command that deletes does that first.',
}


_CACHED = 'Nothing has to be done: the repository is behind a cache rule, which brings what somebody pulls.'


class Mends:
    """Finds the mend for a finding, from what is known of the registry.

    `target` are the words that name the registry in a command, with the options that belong to them. `now` is in ticks;
    without it, nothing is known to be old enough to be deleted.
    """

    def __init__(
        self,
        repositories: Sequence[Repository],
        graph_of: GraphOf,
        everywhere: Everywhere,
        target: Sequence[str],
        now: int | None,
    ) -> None:
        self._repositories = {repository.name: repository for repository in repositories}
        self._graph_of = graph_of
        self._everywhere = everywhere
        self._target = target
        self._now = now
        self._unread: dict[str, str | None] = {}

    def of(self, finding: Finding) -> dict[str, str | None]:
        """The mend of a finding. `command` is a whole az command, or None when no command is sure to mend it."""
        repository = self._repositories[finding.repository]
        if finding.code == MISSING_CHILDREN and repository.cached:
            return {'command': None, 'advice': _CACHED}
        obstacle = None if finding.code in _BY_HAND else self._obstacle(repository, finding)
        command = None if obstacle or finding.code in _BY_HAND else self._command(repository, finding)
        return {
            'command': shlex.join(['az', 'acr', *command]) if command else None,
            'advice': f'{_ADVICE[finding.code]} No command, because {obstacle}.' if obstacle else _ADVICE[finding.code],
        }

    def _command(self, repository: Repository, finding: Finding) -> list[str]:
        """The command as words, without `az acr`."""
        name = f'{repository.name}@{finding.digest}'
        if finding.code in (*LOCK_CODES, LEFT_UNLOCKED):
            is_tag = finding.tag and finding.code != TAG_LOCKED_ALONE
            name = f'{repository.name}:{finding.tag}' if is_tag else name
            return _locking(self._target, name, finding.data['locks'])
        if finding.code == ORPHAN_TAG:
            name = f'{repository.name}:{finding.tag}'
        untag = ['--untag'] if finding.code == ORPHAN_TAG else []
        condition = _CONDITIONS[finding.code]
        return ['prune', 'image', '--registry', *self._target, '--image', name, *untag, '--only-if', condition]

    def _obstacle(self, repository: Repository, finding: Finding) -> str | None:
        """Why no command is sure to mend it, as the end of a sentence. What locks is sure whatever else there is."""
        if finding.code in (LEFT_UNLOCKED, *LOCK_CODES):
            return None
        if self._everywhere.chosen:
            return 'only some repositories were looked at: check the whole registry for one'
        if not self._everywhere.whole:
            return 'not all repositories could be read'
        manifest = repository.manifests[finding.digest]
        lock = (
            lock_on_tag(repository, manifest, finding.tag)
            if finding.code == ORPHAN_TAG and finding.tag
            else lock_on(repository, manifest)
        )
        if lock:
            return f'it is locked ({lock})'
        return self._too_good(repository, finding) or self._kept(repository, finding)

    def _too_good(self, repository: Repository, finding: Finding) -> str | None:
        """What speaks against deleting it, which `--only-if` would find too."""
        graph, condition = self._graph_of(repository), _CONDITIONS.get(finding.code)
        untag = finding.code == ORPHAN_TAG
        why = why_careful(repository, graph, finding.digest, self._now or 0, untag)
        if condition:
            why = why_not(repository, finding.digest, condition, self._everywhere, finding.tag) or why
        return f'it {why}' if why else None

    def _kept(self, repository: Repository, finding: Finding) -> str | None:
        """Why a deletion by name would leave it."""
        if finding.code == ORPHAN_TAG:
            return None
        if not is_digest(finding.digest):
            return 'it is listed under what is no digest, by which it could be named'
        holder = _holder(repository, self._graph_of(repository), finding.digest)
        if holder:
            return f'it stays for as long as {holder} is there'
        if repository.name not in self._unread:
            self._unread[repository.name] = opaque(self._certain(repository))
        unread = self._unread[repository.name]
        return f'{unread} cannot be read and may need it' if unread else None

    def _certain(self, repository: Repository) -> Repository:
        """The repository as a deletion sees it: what answers 404 and is young is no ghost."""
        bare = Inventory('', (repository,), frozenset())
        return with_doubtful_ghosts(bare, None, self._now or 0).repositories[0]


def lock_command(target: Sequence[str], name: str, flags: Iterable[str]) -> str:
    """The command that sets flags of a tag or a manifest, by its name with its repository."""
    return shlex.join(['az', 'acr', *_locking(target, name, flags)])


def _locking(target: Sequence[str], name: str, flags: Iterable[str]) -> list[str]:
    words = [word for flag in flags for word in _FLAGS[flag]]
    return ['repository', 'update', '--name', *target, '--image', name, *words]


def _holder(repository: Repository, graph: Graph, digest: str) -> str | None:
    """The first manifest that needs this one, or a referrer of it, and that may stay when this one is deleted by name.

    Referrers fall with it, unless they have a tag or a lock.
    """
    falling = walk([digest], lambda each: graph.referrers.get(each, ()))
    for each in sorted(falling):
        manifest = repository.manifests[each]
        if each != digest and (user_tags(manifest) or lock_on(repository, manifest)):
            return each
        holder = next((other for other in graph.holders(each) if other not in falling), None)
        if holder:
            return holder
    return None

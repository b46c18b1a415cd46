"""What mends a finding: a command if it is sure to work and deletes nothing that is whole, else advice."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ..decide.graph import Graph, user_tags, walk
from ..decide.health import (
    EMPTY_INDEX,
    GHOST,
    LOCK_CODES,
    MANIFEST_LOCKED_ALONE,
    MISSING_CHILDREN,
    ORPHAN_ATTACHMENT,
    ORPHAN_REFERRER,
    ORPHAN_TAG,
    SIZE_MISMATCH,
    TAG_LOCKED_ALONE,
    UNREADABLE,
    Finding,
    GraphOf,
)
from ..decide.manifests import is_digest
from ..decide.safety import opaque
from ..decide.verdicts import lock_on, lock_on_tag
from ..model import Repository

_FLAGS = {'deleteEnabled=false': ('--delete-enabled', 'false'), 'writeEnabled=false': ('--write-enabled', 'false')}

_BY_HAND = (UNREADABLE, SIZE_MISMATCH)
"""Only people can tell which of the manifests is wrong, and whether it can be pulled all the same."""

_ADVICE = {
    GHOST: 'Delete what is left of it. If it stays listed all the same, only the support of Azure can remove it.',
    UNREADABLE: 'Check it again later. If its bytes are damaged, push the image again under another digest, and delete '
    "this one with 'az acr manifest delete'. Until then nothing that it may need is cleaned up.",
    MISSING_CHILDREN: 'Push the image again with all its platforms. If nobody needs the others, delete it.',
    EMPTY_INDEX: 'Delete it, or push the image again.',
    SIZE_MISMATCH: 'See whether it can be pulled. If not, build the image again, push it, and delete this one.',
    ORPHAN_ATTACHMENT: 'Delete it, or push its image again.',
    ORPHAN_REFERRER: 'Delete it, or push its subject again.',
    ORPHAN_TAG: 'Remove the tag, or push its image again.',
    TAG_LOCKED_ALONE: 'Lock the manifest too, or unlock the tag.',
    MANIFEST_LOCKED_ALONE: 'Lock the tag too, or unlock the manifest.',
}


class Mends:
    """Finds the mend for a finding, from what is known of the registry.

    `target` are the words that name the registry in a command, with the options that belong to them.
    """

    def __init__(self, repositories: Sequence[Repository], graph_of: GraphOf, target: Sequence[str]) -> None:
        self._repositories = {repository.name: repository for repository in repositories}
        self._graph_of = graph_of
        self._target = target
        self._unread: dict[str, str | None] = {}

    def of(self, finding: Finding) -> dict[str, str | None]:
        """The mend of a finding. `command` is a whole az command, or None when no command is sure to mend it."""
        repository = self._repositories[finding.repository]
        obstacle = None if finding.code in (*_BY_HAND, *LOCK_CODES) else self._obstacle(repository, finding)
        command = None if obstacle else self._command(repository, finding)
        return {
            'command': shlex.join(['az', 'acr', *command]) if command else None,
            'advice': f'{_ADVICE[finding.code]} {obstacle}'.rstrip() if obstacle else _ADVICE[finding.code],
        }

    def _command(self, repository: Repository, finding: Finding) -> list[str] | None:
        """The command as words, without `az acr`."""
        name, manifest = f'{repository.name}@{finding.digest}', repository.manifests[finding.digest]
        if finding.code in LOCK_CODES:
            name = name if finding.code == TAG_LOCKED_ALONE else f'{repository.name}:{finding.tag}'
            flags = [word for lock in finding.data['locks'] for word in _FLAGS[lock]]
            return ['repository', 'update', '--name', *self._target, '--image', name, *flags]
        if finding.code == ORPHAN_TAG:
            name = f'{repository.name}:{finding.tag}'
            return ['prune', 'image', '--registry', *self._target, '--image', name, '--untag']
        works = user_tags(manifest) and finding.code not in (GHOST, EMPTY_INDEX) and not finding.data.get('empty')
        if works or finding.code in _BY_HAND:
            return None
        return ['prune', 'image', '--registry', *self._target, '--image', name]

    def _obstacle(self, repository: Repository, finding: Finding) -> str | None:
        """Why a command could not delete the manifest or remove the tag."""
        manifest = repository.manifests[finding.digest]
        lock = (
            lock_on_tag(repository, manifest, finding.tag)
            if finding.code == ORPHAN_TAG and finding.tag
            else lock_on(repository, manifest)
        )
        if lock:
            return f'It is locked ({lock}).'
        if finding.code == ORPHAN_TAG:
            return None
        if not is_digest(finding.digest):
            return 'What it is listed under is no digest, by which it could be named.'
        holder = _holder(repository, self._graph_of(repository), finding.digest)
        if holder:
            return f'It stays for as long as {holder} is there.'
        if repository.name not in self._unread:
            self._unread[repository.name] = opaque(repository)
        unread = self._unread[repository.name]
        return f'{unread} cannot be read and may need it.' if unread else None


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

"""What mends a finding: a command where one is sure to do it and takes nothing with it that works, else advice."""

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
"""Nobody can tell from here which of them is at fault, and whether it works all the same."""

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
    """Knows the registry well enough to tell what a command would do there.

    `target` names it in a command, after `--registry` or `--name`, with the options that belong to that.
    """

    def __init__(self, repositories: Sequence[Repository], graph_of: GraphOf, target: Sequence[str]) -> None:
        self._repositories = {repository.name: repository for repository in repositories}
        self._graph_of = graph_of
        self._target = target
        self._unread: dict[str, str | None] = {}

    def of(self, finding: Finding) -> dict[str, str | None]:
        """`command` is a whole az command, None where none would mend it; `advice` is for people."""
        repository = self._repositories[finding.repository]
        obstacle = None if finding.code in (*_BY_HAND, *LOCK_CODES) else self._obstacle(repository, finding)
        command = None if obstacle else self._command(repository, finding)
        return {
            'command': shlex.join(['az', 'acr', *command]) if command else None,
            'advice': f'{_ADVICE[finding.code]} {obstacle}'.rstrip() if obstacle else _ADVICE[finding.code],
        }

    def _command(self, repository: Repository, finding: Finding) -> list[str] | None:
        """The words after `az acr`."""
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
        """Why a command would leave the manifest, or the tag, where it is."""
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
    """What may stay when somebody deletes this manifest by name, and needs it; the first one, if there is any.

    What refers to it falls with it, and is looked at like it; anything else that holds one of them may stay.
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

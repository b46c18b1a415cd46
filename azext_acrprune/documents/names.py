"""What people call a manifest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..decide.graph import Graph, build_graph, user_tags
from ..model import Repository


class Names:
    """Names manifests: by a tag of its own, or of the index or subject that it belongs to."""

    def __init__(self, repositories: Iterable[Repository]) -> None:
        self._repositories = {repository.name: repository for repository in repositories}
        self._graphs: dict[str, Graph] = {}

    def fields(self, repository: str, digest: str) -> dict[str, Any]:
        """`name` is the tag or None, `partOf` whether it is that of another manifest."""
        manifest = self._repositories[repository].manifests[digest]
        own = user_tags(manifest)
        owner = None if own else self._owner(repository, digest)
        return {
            'repository': repository,
            'digest': digest,
            'name': own[0] if own else owner,
            'partOf': owner is not None,
            'platform': manifest.platform,
            'artifactType': manifest.artifact_type,
        }

    def text(self, repository: str, digest: str) -> str:
        fields = self.fields(repository, digest)
        return f'{repository}:{fields["name"]}' if fields['name'] else f'{repository}@{digest}'

    def _owner(self, name: str, digest: str) -> str | None:
        """The tag of the nearest index or subject that has one."""
        repository = self._repositories[name]
        if name not in self._graphs:
            self._graphs[name] = build_graph(repository)
        seen, queue = {digest}, [digest]
        for each in queue:
            tags = user_tags(repository.manifests[each])
            if tags:
                return tags[0]
            above = [other for other in self._graphs[name].holders(each) if other not in seen]
            seen.update(above)
            queue.extend(above)
        return None

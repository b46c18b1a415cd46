"""What a file was found to say of repositories, so that it is known which of its other texts mean nothing more."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .references import Finding, Reference, RegistryNames, split_repository
from .scopes import Place


class ToldRepositories:
    """Takes what is found, with the places of the values that it was made of."""

    def __init__(self, names: RegistryNames) -> None:
        self._names = names
        self._told: set[str] = set()
        self._made_of: dict[Place, set[str]] = {}

    def note(self, findings: Iterable[Finding], places: Iterable[Place]) -> None:
        every = list(findings)
        repositories = {each.repository for each in every if isinstance(each, Reference)}
        self._told.update(f'/{each.repository}' if isinstance(each, Reference) else each.text for each in every)
        for place in places if repositories else ():
            self._made_of.setdefault(place, set()).update(repositories)

    def of(self, text: str, below: bool = True) -> bool:
        """Whether anything is said of the repository that a text names, or of one that is below it."""
        path = f'/{split_repository(text, self._names)}'
        ends = r'(?![\w.-])' if below else r'(?![\w./-])'
        return any(re.search(re.escape(path) + ends, told) for told in self._told)

    def begins_others(self, repository: str | None, line: int) -> bool:
        """Whether images below a repository, and none in it, were made of what stands at a line."""
        made = self._made_of.get(line, ())
        return repository not in made and any(each.startswith(f'{repository}/') for each in made)

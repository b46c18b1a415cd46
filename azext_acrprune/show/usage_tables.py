"""The usage document -> rows for `-o table`, with bars at a terminal, and sentences about storage, cost and pulls."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from ..model import APPROXIMATE, BOUNDS, EXACT, parse_ticks
from ..spelling import visible
from .fleet_tables import registry_rows
from .money import account_line, price_lines, since_lines
from .sizes import blob_digest, freed_size, human_age, human_size, not_read_line, percent, share_bar, short_digest
from .table import Row, Table

_COLUMNS = (
    *('REPOSITORY', 'IMAGE', 'LAYER', 'PATTERN', 'ATTRIBUTED', 'SHARE', 'UNIQUE', 'TOTAL', 'MANIFESTS', 'IMAGES'),
    *('UNTAGGED', 'TAGS', 'LAST_PULL', 'NEWEST', 'PUSHED', '12_MONTHS', 'BASE_IMAGE', 'SHARED', 'REPOSITORIES'),
    *('USED_BY', 'LAYERS_BELOW', 'BAR'),
)
"""The columns by importance."""


def usage_rows(document: dict[str, Any]) -> Table:
    """A row for each repository, image, layer or pattern, one for those that are left out, and the total."""
    if 'registries' in document:
        return registry_rows(document)
    if 'rows' not in document:
        return Table([document])
    return _Usage(document).table()


def usage_lines(document: dict[str, Any]) -> Iterator[str]:
    """Sentences about the used storage, its cost, the time since which pulls are known, and what was not read."""
    yield account_line(document['account'])
    yield from since_lines(document['sinceLastRun'])
    yield from price_lines(document['cost'])
    if document['pulls']:
        since = document['pulls']['logsSince']
        yield (
            f'Last pulls are as the workspace {visible(document["pulls"]["workspace"])} tells, '
            + (f'without a hole since {since}.' if since else 'which has no event of this registry of late.')
        )
    if document['notRead']:
        yield not_read_line(document['notRead'])


class _Usage:
    """The table of one document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._whole = document['summary']['registryBytes']
        self._now = parse_ticks(document['createdAt']) or 0

    def table(self) -> Table:
        document, summary = self._document, self._document['summary']
        cells = {
            'repository': self._repository,
            'image': self._image,
            'layer': self._layer,
            'tag-pattern': self._pattern,
        }[document['by']]
        rows = [cells(row) for row in document['rows']]
        others = document['otherRows']
        sums = [self._sum(f'{others["rowsLeftOut"]} more', others)] if others else []
        if document['by'] == 'layer':
            sums.append(self._sum('manifests', {'attributedBytes': summary['manifestBytes']}))
        sums.append(self._sum('total', {**summary, 'attributedBytes': self._whole, 'growth': document['growth']}))
        columns = dict.fromkeys(key for row in (*rows, *sums) for key in row)
        whole = [[OrderedDict((key, row.get(key, '')) for key in columns) for row in part] for part in (rows, sums)]
        return Table(whole[0], whole[1], _COLUMNS)

    def _repository(self, row: Row) -> Row:
        return OrderedDict(
            REPOSITORY=visible(row['repository']), **self._held(row), **self._share(row), **self._times(row)
        )

    def _image(self, row: Row) -> Row:
        name = f'{row["repository"]}:{row["name"]}' if row['name'] else f'{row["repository"]}@{row["digest"]}'
        kind = 'streaming copy' if row['streamingCopy'] else row['artifactType']
        about = ' '.join(filter(None, (row['platform'], kind, 'part of it' if row['partOf'] else '')))
        return OrderedDict(
            IMAGE=visible(short_digest(f'{name} ({about})' if about else name)),
            **self._sizes(row),
            **self._share(row),
            PUSHED=human_age(parse_ticks(row['createdTime']), self._now),
            **self._pulled(row),
        )

    def _layer(self, row: Row) -> Row:
        return OrderedDict(
            LAYER=blob_digest(row),
            **self._share(row),
            IMAGES=row['images'],
            REPOSITORIES=row['repositories'],
            LAYERS_BELOW='?' if row['layersBelow'] is None else row['layersBelow'],
            BASE_IMAGE=visible(short_digest(row['baseImage'] or '')),
            USED_BY=visible(', '.join(map(short_digest, row['users'][:2]))),
        )

    def _pattern(self, row: Row) -> Row:
        pattern = '(no tag)' if row['pattern'] is None else visible(row['pattern'])
        return OrderedDict(
            REPOSITORY=visible(row['repository']),
            PATTERN=pattern,
            TAGS=row['tagCount'],
            **self._held(row),
            **self._share(row),
            **self._times(row),
        )

    def _sum(self, name: str, row: Row) -> Row:
        """The row for a sum: only columns that add up."""
        first = {'image': 'IMAGE', 'layer': 'LAYER'}.get(self._document['by'], 'REPOSITORY')
        held = self._held(row) if 'manifests' in row and self._document['by'] == 'repository' else {}
        growth = {'12_MONTHS': self._growth(row)} if 'growth' in row and first == 'REPOSITORY' else {}
        return OrderedDict(**{first: name}, **held, **self._share(row), **growth)

    def _held(self, row: Row) -> Row:
        untagged = {'UNTAGGED': row['manifestsUntagged']} if 'manifestsUntagged' in row else {}
        return {'MANIFESTS': row['manifests'], **untagged, **self._sizes(row)}

    def _sizes(self, row: Row) -> Row:
        held = self._document['heldImpact']
        sizes = {'TOTAL': freed_size(row['totalBytes'], held)}
        if 'uniqueBytes' in row:
            sizes.update(
                UNIQUE=freed_size(row['uniqueBytes'], row['impact']), SHARED=freed_size(row['sharedBytes'], held)
            )
        return sizes

    def _share(self, row: Row) -> Row:
        size = row['attributedBytes']
        held = self._document['heldImpact']
        shared = '' if held == EXACT else BOUNDS[APPROXIMATE]
        cells = {
            'ATTRIBUTED': freed_size(size, row.get('impact', held)),
            'SHARE': f'{shared}{percent(size, self._whole)}',
        }
        return {**cells, 'BAR': share_bar(size, self._whole, sys.stdout.encoding)} if sys.stdout.isatty() else cells

    def _times(self, row: Row) -> Row:
        return {
            'NEWEST': human_age(parse_ticks(row['newest']), self._now),
            '12_MONTHS': self._growth(row),
            **self._pulled(row),
        }

    def _growth(self, row: Row) -> str:
        held = self._document['heldImpact']
        new = sum(month['attributedBytes'] for month in row['growth'] if month['month'] is not None)
        return f'{BOUNDS[held]}+{human_size(new)}'

    def _pulled(self, row: Row) -> Row:
        """The column for the last pull: empty when no pull is known, left out when no log was asked."""
        if not self._document['pulls']:
            return {}
        pulled = row['lastPulledTime']
        return {'LAST_PULL': human_age(parse_ticks(pulled), self._now) if pulled else ''}

"""What is in an archive -> rows for `-o table`."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .sizes import count, human_size, short_digest
from .table import Row, Table


def image_rows(result: dict[str, Any]) -> Table:
    """A row for each image of an archive, the newest first."""
    if 'images' not in result or not isinstance(result['images'], list):
        return Table([result])
    images = sorted(result['images'], key=lambda image: str(image['archivedAt']), reverse=True)
    return Table(map(_image_row, images), columns=('REPOSITORY', 'DIGEST', 'SIZE', 'ARCHIVED', 'TAGS'))


def _image_row(image: dict[str, Any]) -> Row:
    return OrderedDict(
        REPOSITORY=image['repository'],
        DIGEST=short_digest(image['digest']),
        TAGS=', '.join(map(short_digest, image['tags'])),
        SIZE=_size(image['imageSize']),
        ARCHIVED=image['archivedAt'],
    )


def archive_rows(result: dict[str, Any]) -> Table:
    """A row for each repository in an archive, and the total; or one for each blob of an image."""
    if 'blobs' in result and isinstance(result['blobs'], list):
        blobs = sorted(result['blobs'], key=lambda blob: -int(blob['size']))
        return Table(
            OrderedDict(
                BLOB=blob['digest'], SIZE=human_size(blob['size']), IN_ARCHIVE='yes' if blob['inArchive'] else 'no'
            )
            for blob in blobs
        )
    if 'repositories' not in result:
        return Table([result])
    rows = [
        OrderedDict(
            REPOSITORY=each['repository'],
            IMAGES=each['images'],
            OLDEST=each['firstArchivedAt'],
            NEWEST=each['lastArchivedAt'],
            STORED='',
        )
        for each in result['repositories']
    ]
    cost, summary = result['cost'], result['summary']
    price = f', {cost["perMonth"]} {cost["currency"]}'.rstrip() + ' a month' if cost['perMonth'] else ''
    total = OrderedDict(
        REPOSITORY='total',
        IMAGES=summary['images'],
        OLDEST=summary['firstArchivedAt'],
        NEWEST=summary['lastArchivedAt'],
        STORED=human_size(summary['storedBytes']) + price,
    )
    return Table(rows, [total], ('REPOSITORY', 'IMAGES', 'STORED', 'NEWEST', 'OLDEST'))


def verify_rows(result: dict[str, Any]) -> Table:
    """A row for each damaged blob and for each image that cannot come back, and the total."""
    if 'summary' not in result:
        return Table([result])
    rows = [OrderedDict(WHAT=each['digest'], PROBLEM=each['error']) for each in result['damaged']]
    rows += [
        OrderedDict(WHAT=f'{each["repository"]}@{short_digest(each["digest"])}', PROBLEM=each['error'])
        for each in result['failed']
    ]
    summary = result['summary']
    whole = f'{summary["wholeImages"]} of {count(summary["images"], "image")} whole'
    read = f'{count(summary["blobs"], "blob")} read, {human_size(summary["storedBytes"])}'
    return Table(rows, [OrderedDict(WHAT=f'{whole}; {read}', PROBLEM='')])


def summary_rows(result: dict[str, Any]) -> Table:
    """One row: what was changed."""
    return Table([OrderedDict((_heading(key), value) for key, value in result.get('summary', result).items())])


def _heading(key: str) -> str:
    return ''.join(f'_{letter}' if letter.isupper() else letter for letter in key).upper()


def _size(size: int | None) -> str:
    return '' if size is None else human_size(size)

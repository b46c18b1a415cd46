"""What is in an archive -> rows for `-o table`."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .sizes import count, human_size, short_digest

Row = dict[str, Any]
_YES_NO = {True: 'yes', False: 'no'}
_LONGEST = 50
"""Rows of images in a table; the document has all of them."""


def image_rows(result: dict[str, Any]) -> list[Row]:
    """A row for each image of an archive, the newest first, and a line on the others where there are many."""
    if 'images' not in result or not isinstance(result['images'], list):
        return [result]
    images = sorted(result['images'], key=lambda image: str(image['archivedAt']), reverse=True)
    rows = [_image_row(image) for image in images[:_LONGEST]]
    rest = len(images) - len(rows)
    if rest > 0:
        rows.append(
            OrderedDict(REPOSITORY=f'... and {count(rest, "image")} more', DIGEST='', TAGS='', SIZE='', ARCHIVED='')
        )
    return rows


def _image_row(image: dict[str, Any]) -> Row:
    return OrderedDict(
        REPOSITORY=image['repository'],
        DIGEST=short_digest(image['digest']),
        TAGS=', '.join(map(short_digest, image['tags'])),
        SIZE=_size(image['imageSize']),
        ARCHIVED=image['archivedAt'],
    )


def archive_rows(result: dict[str, Any]) -> list[Row]:
    """A row for each repository in an archive, and the total; or one for each blob of an image."""
    if 'blobs' in result and isinstance(result['blobs'], list):
        return [
            OrderedDict(
                BLOB=blob['digest'], SIZE=human_size(blob['size']), IN_ARCHIVE='yes' if blob['inArchive'] else 'no'
            )
            for blob in result['blobs']
        ]
    if 'repositories' not in result:
        return [result]
    rows = [
        OrderedDict(
            REPOSITORY=each['repository'],
            IMAGES=each['images'],
            OLDEST=each['oldest'],
            NEWEST=each['newest'],
            STORED='',
        )
        for each in result['repositories']
    ]
    cost = result['cost']
    price = f', {cost["perMonth"]} {cost["currency"]}'.rstrip() + ' a month' if cost['perMonth'] else ''
    total = OrderedDict(
        REPOSITORY='total',
        IMAGES=result['images'],
        OLDEST=result['oldest'],
        NEWEST=result['newest'],
        STORED=human_size(result['storedBytes']) + price,
    )
    return [*rows, total]


def verify_rows(result: dict[str, Any]) -> list[Row]:
    """A row for each damaged blob and for each image that cannot come back, and the total."""
    if 'summary' not in result:
        return [result]
    rows = [OrderedDict(WHAT=each['digest'], PROBLEM=each['why']) for each in result['damaged']]
    rows += [
        OrderedDict(WHAT=f'{each["repository"]}@{short_digest(each["digest"])}', PROBLEM=each['error'])
        for each in result['failed']
    ]
    summary = result['summary']
    whole = f'{summary["wholeImages"]} of {count(summary["images"], "image")} are whole'
    read = f'{count(summary["blobs"], "blob")} were read, {human_size(summary["bytes"])}'
    return [*rows, OrderedDict(WHAT=whole, PROBLEM=read)]


def summary_rows(result: dict[str, Any]) -> list[Row]:
    """One row: what was changed."""
    return [OrderedDict((_heading(key), value) for key, value in result.get('summary', result).items())]


def _heading(key: str) -> str:
    return ''.join(f'_{letter}' if letter.isupper() else letter for letter in key).upper()


def _size(size: int | None) -> str:
    return '' if size is None else human_size(size)

"""An index of the journals: a line for each run and a line for each image, so that nobody has to read all journals.

It is a file beside the journals that only grows. What is not in it, or not as it is now, is read from the journal
itself, and an index that is absent or damaged is made anew. So it can always be deleted.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from .journal import SUFFIX, JournalError, read_run

INDEX_NAME = 'index'
_RUN, _IMAGE = b'=\t', b'-\t'
_IS_RUN = b'\n' + _RUN
_OVER_AFTER_SECONDS = 3_600
"""A run without an end whose journal has not changed for so long was killed. Should it go on, its size tells."""


@dataclass(frozen=True)
class Outline:
    """What the index has of one run: a summary for lists, and (repository, digest, tags) of each image it took."""

    summary: Mapping[str, Any]
    images: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


Outlining = Callable[[str, list[dict[str, Any]]], Outline]
"""Gives the outline of a run by its name and the lines of its journal."""


class JournalIndex:
    """The runs that have a journal in a folder. Every method may raise JournalError."""

    def __init__(self, folder: Path, outline: Outlining, fetch: Callable[[str], None] = lambda _: None) -> None:
        """`fetch` has the journal of a run in the folder, where that was left elsewhere."""
        self._folder = folder
        self._fetch = fetch
        self._outline = outline
        self._path = folder / INDEX_NAME

    def summaries(self) -> list[Mapping[str, Any]]:
        """The summary of every run, oldest first."""
        return [summary for summary, _ in self._entries()]

    def runs_that_took(self, repository: str, names: Callable[[str, tuple[str, ...]], bool]) -> list[tuple[str, str]]:
        """(run, digest) of each image of a repository that a run took, oldest run first.

        `names` says whether a digest with its tags is what is looked for.
        """
        start = _IMAGE + repository.encode() + b'\t'
        return [
            (str(summary['run']), digest)
            for summary, part in self._entries()
            if start in part
            for line in part.split(b'\n')
            if line.startswith(start)
            for digest, tags in [_image(line)]
            if names(digest, tags)
        ]

    def add(self, run: str) -> None:
        """Take a run that is over into the index. That it cannot be written is no failure: it only saves time."""
        path = self._folder / f'{run}{SUFFIX}'
        with suppress(OSError, JournalError):
            self._append(self._part(run, path.stat().st_size))

    def forget(self, runs: Iterable[str]) -> None:
        """Leave out runs whose journals are gone."""
        gone = set(runs)
        kept = [part for run, (_, _, part) in (self._read() or {}).items() if run not in gone]
        with suppress(OSError):
            self._replace(b''.join(kept))

    def _entries(self) -> Iterator[tuple[Mapping[str, Any], bytes]]:
        """(summary, its part of the index) of each run, oldest first; parts that are new are written down."""
        journals = self._journals()
        known = self._read()
        new = []
        for run, (size, changed) in sorted(journals.items()):
            at_once = (known or {}).get(run)
            if at_once and at_once[0] == size:
                yield at_once[1:]
                continue
            try:
                part = self._part(run, size)
            except JournalError:
                if (self._folder / f'{run}{SUFFIX}').exists():
                    raise
                continue  # it was removed meanwhile, by a run that keeps journals for a time
            _, summary, _ = _parsed(part)
            if summary.get('endedAt') or changed < time.time() - _OVER_AFTER_SECONDS:
                new.append(part)
            yield summary, part
        with suppress(OSError):
            if known is None and new:
                self._replace(b''.join(new))
            elif new:
                self._append(b''.join(new))

    def _journals(self) -> dict[str, tuple[int, float]]:
        """{run: (bytes of its journal, seconds since 1970 of its last change)}"""
        try:
            with os.scandir(self._folder) as files:
                found = ((file.name, file.stat()) for file in files if file.name.endswith(SUFFIX))
                return {name[: -len(SUFFIX)]: (stat.st_size, stat.st_mtime) for name, stat in found}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise JournalError(f"The journals in '{self._folder}' cannot be read: {error.strerror}") from error

    def _part(self, run: str, size: int) -> bytes:
        """What the index has of one run, checksum and all."""
        self._fetch(run)
        outline = self._outline(run, read_run(self._folder, run))
        images = b''.join(
            _IMAGE + '\t'.join((repository, digest, ','.join(tags))).encode() + b'\n'
            for repository, digest, tags in outline.images
        )
        said = json.dumps({'size': size, 'summary': outline.summary}, separators=(',', ':')).encode()
        return images + _RUN + b'%08x\t' % zlib.crc32(images + said) + said + b'\n'

    def _read(self) -> dict[str, tuple[int, Mapping[str, Any], bytes]] | None:
        """{run: (bytes of its journal, summary, part of the index)}, None for an index that is absent or damaged."""
        try:
            data = b'\n' + self._path.read_bytes()
            parts = [_parsed(part) for part in _parts(data)]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return {str(summary['run']): (size, summary, part) for size, summary, part in parts}

    def _append(self, data: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def _replace(self, data: bytes) -> None:
        aside = self._folder / f'{INDEX_NAME}.{uuid4().hex}'
        try:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, 'wb') as file:
                file.write(data)
            os.replace(aside, self._path)
        finally:
            with suppress(OSError):
                aside.unlink()


def _parts(data: bytes) -> Iterator[bytes]:
    """What the index has of each run. Raises ValueError for an index that was cut off."""
    start = 1
    while (found := data.find(_IS_RUN, start - 1)) >= 0:
        end = data.find(b'\n', found + 1) + 1
        if not end:
            raise ValueError('the last line is cut off')
        yield data[start:end]
        start = end
    if start != len(data):
        raise ValueError('the last part is cut off')


def _parsed(part: bytes) -> tuple[int, Mapping[str, Any], bytes]:
    """(bytes of the journal, summary, the part itself). Raises ValueError for a part that is damaged."""
    images, found, last = part.rpartition(_RUN)
    checksum, _, said = last[:-1].partition(b'\t')
    if not found or int(checksum, 16) != zlib.crc32(images + said):
        raise ValueError('the checksum is not right')
    document = json.loads(said)
    return document['size'], document['summary'], part


def _image(line: bytes) -> tuple[str, tuple[str, ...]]:
    _, _, digest, tags = line.decode().split('\t')
    return digest, tuple(tags.split(',')) if tags else ()

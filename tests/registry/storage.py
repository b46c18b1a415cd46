"""What a registry holds, and how many bytes that really takes: blobs once by digest, freed by reference count.

Pure state without HTTP; the bytes that disappear here are the truth that previews are tested against.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .failures import (
    RegistryFailure,
    blob_unknown,
    digest_deleted,
    disallowed,
    manifest_unknown,
    name_unknown,
    revision_unknown,
    subject_deleted,
    tag_unknown,
)
from .records import (
    Deleted,
    Record,
    RepositoryState,
    Tag,
    blobs_of,
    children_of,
    digest_of,
    foreign_of,
    is_locked,
    manifest_digest,
    parse_document,
    wire_time,
)
from .retention import Retention

DAY = 86_400


class Storage:
    """All repositories of one registry. Every method is atomic."""

    def __init__(self, directory: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.lock = threading.RLock()
        self.soft_delete_days: int | None = None
        self.retention = Retention()
        self.upstream: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.deleted: dict[str, dict[str, Deleted]] = {}
        self._clock = clock
        self._directory = directory
        self._repositories: dict[str, RepositoryState] = {}
        self._data: dict[str, bytes] = {}
        self._sizes: dict[str, int] = {}
        self._blob_users: Counter = Counter()
        self._manifest_users: Counter = Counter()
        self._manifest_sizes: dict[str, int] = {}
        self._used_bytes = 0
        self._links: set[tuple[str, str]] = set()
        if directory:
            directory.mkdir(parents=True, exist_ok=True)

    # Blobs

    def put_blob(self, data: bytes) -> str:
        digest = digest_of(data)
        with self.lock:
            if self._directory:
                (self._directory / digest.replace(':', '-')).write_bytes(data)
            else:
                self._data[digest] = data
            if self._blob_users[digest]:
                self._used_bytes += len(data) - self._sizes[digest]
            self._sizes[digest] = len(data)
        return digest

    def put_virtual_blob(self, digest: str, size: int) -> str:
        """A blob of which only the size is kept: for large layers that nobody pulls."""
        with self.lock:
            self._sizes.setdefault(digest, size)
        return digest

    def has_blob(self, digest: str) -> bool:
        return digest in self._sizes

    def link_blob(self, repository: str, digest: str) -> None:
        """Let a repository have a blob: it was uploaded or mounted there."""
        self._links.add((repository, digest))

    def has_blob_in(self, repository: str, digest: str) -> bool:
        """Whether a repository has a blob: blobs are stored once, and served where they belong."""
        return digest in self._sizes and (
            (repository, digest) in self._links
            or any(digest in record.blobs for record in self.manifests(repository).values())
        )

    def blob_size(self, digest: str) -> int:
        return self._sizes[digest]

    def get_blob(self, digest: str) -> bytes:
        """The bytes of a blob; a virtual one has none and is unknown here."""
        try:
            return (self._directory / digest.replace(':', '-')).read_bytes() if self._directory else self._data[digest]
        except (KeyError, FileNotFoundError):
            raise blob_unknown(digest) from None

    def stored_bytes(self) -> int:
        """Bytes of the blobs that some manifest uses, soft-deleted ones included, and of each distinct manifest."""
        with self.lock:
            self.purge()
            return self._used_bytes

    def held(self) -> dict[str, int]:
        """The same by digest, without what is soft-deleted and used by nothing else."""
        with self.lock:
            blobs = {digest: self._sizes[digest] for digest, users in self._blob_users.items() if users}
            return {**blobs, **{digest: self._manifest_sizes[digest] for digest in +self._manifest_users}}

    def pending_bytes(self) -> int:
        """Bytes of uploaded blobs that no manifest uses yet."""
        return sum(size for digest, size in self._sizes.items() if not self._blob_users[digest])

    # Manifests and tags

    def put_manifest(
        self,
        repository: str,
        data: bytes,
        media_type: str,
        tag: str | None = None,
        *,
        checked: bool = True,
        digest: str | None = None,
        created: str | None = None,
        updated: str | None = None,
    ) -> str:
        """Store a manifest; unchecked, anything goes in: hostile data, a digest that is not its own."""
        digest = digest or manifest_digest(data)
        document = parse_document(data)
        now = wire_time(self._clock())
        with self.lock:
            if checked:
                self._check_references(repository, document)
                self._check_deleted(repository, digest)
            state = self._repositories.setdefault(repository, RepositoryState(created or now, updated or now))
            self._check_writable(state, digest, tag)
            state.updated = updated or now
            known = state.manifests.get(digest)
            if known and not known.ghost:
                known.updated = updated or now
            else:
                record = Record(
                    digest,
                    data,
                    media_type,
                    document,
                    self._blobs_of(document),
                    created or now,
                    updated or created or now,
                )
                state.manifests[digest] = record
                self._hold(record)
            if tag:
                before = state.tags[tag].digest if tag in state.tags else digest
                self._move_tag(state, tag, digest, updated or now)
                self.retention.has_a_tag(repository, digest)
                if before != digest:
                    self._check_last_tag(repository, state, before)
        return digest

    def make_ghost(self, repository: str, digest: str, deletable: bool = False) -> None:
        """Leave the manifest listed and take its content away; whether it can be deleted then, nobody has recorded."""
        with self.lock:
            record = self._repositories[repository].manifests[digest]
            if not record.ghost:
                record.ghost, record.deletable = True, deletable
                self._release(record)

    def make_empty(self, repository: str) -> None:
        """A repository without a manifest, as one is left over now and then."""
        now = wire_time(self._clock())
        self._repositories[repository] = RepositoryState(now, now)

    def hide(self, repository: str, *, digest: str | None = None, tag: str | None = None) -> None:
        """Do not show a repository, a manifest or a tag in lists; pulls find it."""
        self.set_locks(repository, digest=digest, tag=tag, listEnabled=False)

    def quarantine(self, repository: str, digest: str, state: str) -> None:
        with self.lock:
            self.manifest(repository, digest).quarantine = state

    def set_locks(self, repository: str, *, digest: str | None = None, tag: str | None = None, **flags: bool) -> None:
        with self.lock:
            if tag is not None:
                self.tag(repository, tag).flags.update(flags)
            elif digest is not None:
                self.manifest(repository, digest).flags.update(flags)
            else:
                self.state(repository).flags.update(flags)

    def delete_manifest(self, repository: str, digest: str) -> None:
        """Delete a manifest with its tags and, as the service does, its referrers."""
        with self.lock:
            state = self._repositories.get(repository)
            if not state or digest not in state.manifests:
                raise revision_unknown(repository, digest, detail=False)
            if self._locked(state, digest):
                raise disallowed()
            if state.manifests[digest].ghost and not state.manifests[digest].deletable:
                raise revision_unknown(repository, digest, detail=False)
            self._drop_with_referrers(repository, state, digest)

    def untag(self, repository: str, tag: str) -> str:
        """Remove a tag; gives the digest that it was on."""
        with self.lock:
            found = self.tag(repository, tag)
            state = self.state(repository)
            if is_locked(found.flags) or is_locked(state.flags):
                raise disallowed()
            self._untag(state, tag)
            self._check_last_tag(repository, state, found.digest)
            return found.digest

    def delete_repository(self, repository: str) -> tuple[list[str], list[str]]:
        """Delete everything in a repository; gives its digests and tags."""
        with self.lock:
            state = self.state(repository)
            if any(is_locked(flags) for flags in self._all_flags(state)):
                raise disallowed()
            digests, tags = sorted(state.manifests), sorted(state.tags)
            for digest in digests:
                self._drop(repository, state, digest)
            return digests, tags

    def restore(self, repository: str, digest: str, tag: str | None = None) -> None:
        """Bring a soft-deleted manifest back under one tag, and neither children nor referrers with it.

        The service takes a referrer only after its subject. How it refuses has not been recorded.
        """
        with self.lock:
            self.purge()
            deleted = self.deleted.get(repository, {})
            if digest not in deleted:
                raise manifest_unknown()
            if deleted[digest].record.subject in deleted:
                raise subject_deleted()
            gone = deleted.pop(digest)
            now = wire_time(self._clock())
            state = self._repositories.setdefault(repository, RepositoryState(now, now))
            live = state.manifests.get(digest)
            if live and not live.ghost:
                self._release(live)
            state.manifests[digest] = gone.record
            for name in [tag] if tag else gone.tags[:1]:
                self._move_tag(state, name, digest, now)

    def purge(self) -> None:
        """Do what the service does by itself by now: delete what lost its last tag, let go of what was soft-deleted.

        The retention policy asks for nothing but `deleteEnabled` of the manifest.
        """
        for name, digest in self.retention.take_due(self._clock()):
            record = self.manifests(name).get(digest)
            if record and record.flags['deleteEnabled'] and not self.tags_on(name, digest):
                self._drop_with_referrers(name, self.state(name), digest)
        if self.soft_delete_days is None:
            return
        oldest = self._clock() - self.soft_delete_days * DAY
        for gone in self.deleted.values():
            for digest in [digest for digest, item in gone.items() if item.seconds < oldest]:
                self._release(gone.pop(digest).record)

    # Looking

    def repositories(self) -> list[str]:
        with self.lock:
            return sorted(self._repositories)

    def state(self, repository: str) -> RepositoryState:
        try:
            return self._repositories[repository]
        except KeyError:
            raise name_unknown(repository) from None

    def manifests(self, repository: str) -> dict[str, Record]:
        state = self._repositories.get(repository)
        return state.manifests if state else {}

    def tags(self, repository: str) -> dict[str, Tag]:
        state = self._repositories.get(repository)
        return state.tags if state else {}

    def tags_on(self, repository: str, digest: str) -> list[str]:
        return sorted(name for name, tag in self.tags(repository).items() if tag.digest == digest)

    def tag(self, repository: str, tag: str) -> Tag:
        try:
            return self.tags(repository)[tag]
        except KeyError:
            raise tag_unknown() from None

    def manifest(self, repository: str, digest: str) -> Record:
        try:
            return self.manifests(repository)[digest]
        except KeyError:
            raise manifest_unknown() from None

    def resolve(self, repository: str, reference: str) -> Record:
        """The manifest that a tag or digest names, for a pull; a read lock on any of its three places forbids it."""
        tag = self.tags(repository).get(reference)
        record = self.manifests(repository).get(tag.digest if tag else reference)
        if (not record or record.ghost) and (repository, reference) in self.upstream:  # a cache rule brings it
            self.put_manifest(repository, *self.upstream[repository, reference], checked=False)
            record = self.manifest(repository, reference)
        if not record or record.ghost:
            raise revision_unknown(repository, reference, detail=True)
        if not all(held.flags['readEnabled'] for held in (self.state(repository), record, tag) if held):
            raise disallowed()
        return record

    def whole(self, repository: str, reference: str) -> list[str]:
        """What a pull of this reference would miss: manifests or blobs; nothing means that it is whole."""
        with self.lock:
            tag = self.tags(repository).get(reference)
            missing: list[str] = []
            waiting, seen = [tag.digest if tag else reference], set()
            while waiting:
                digest = waiting.pop()
                if digest in seen:
                    continue
                seen.add(digest)
                record = self.manifests(repository).get(digest)
                if not record or record.ghost:
                    missing.append(digest)
                    continue
                missing += [blob for blob in record.blobs if blob not in self._sizes]
                for child in record.children:
                    inlined = parse_document(base64.b64decode(child.get('data', '')))
                    waiting += [each['digest'] for each in children_of(inlined)] if inlined else [child['digest']]
            return missing

    # Inside

    def _check_references(self, repository: str, document: dict[str, Any]) -> None:
        for blob in blobs_of(document):
            if blob not in self._sizes:
                raise RegistryFailure(400, 'MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry', {'digest': blob})
        for child in children_of(document):
            if 'data' not in child and child['digest'] not in self.manifests(repository):
                raise RegistryFailure(400, 'MANIFEST_UNKNOWN', 'manifest unknown', {'digest': child['digest']})

    @staticmethod
    def _check_writable(state: RepositoryState, digest: str, tag: str | None) -> None:
        known = state.tags.get(tag) if tag else None
        if not state.flags['writeEnabled'] or known and known.digest != digest and not known.flags['writeEnabled']:
            raise disallowed()

    @staticmethod
    def _move_tag(state: RepositoryState, name: str, digest: str, now: str) -> None:
        tag = state.tags.get(name)
        if tag:
            tag.digest, tag.updated = digest, now
        else:
            state.tags[name] = Tag(digest, now, now)

    @staticmethod
    def _all_flags(state: RepositoryState) -> Iterable[dict[str, bool]]:
        yield state.flags
        yield from (record.flags for record in state.manifests.values())
        yield from (tag.flags for tag in state.tags.values())

    @staticmethod
    def _locked(state: RepositoryState, digest: str) -> bool:
        return (
            is_locked(state.flags)
            or is_locked(state.manifests[digest].flags)
            or any(is_locked(tag.flags) for tag in state.tags.values() if tag.digest == digest)
        )

    def _check_deleted(self, repository: str, digest: str) -> None:
        state = self._repositories.get(repository)
        if digest in self.deleted.get(repository, {}) and not (state and digest in state.manifests):
            raise digest_deleted()

    def _check_last_tag(self, repository: str, state: RepositoryState, digest: str) -> None:
        record = state.manifests.get(digest)
        if record and not any(tag.digest == digest for tag in state.tags.values()):
            self.retention.lost_its_last_tag(repository, digest, record.media_type, self._clock())
            self.purge()

    def _drop_with_referrers(self, repository: str, state: RepositoryState, digest: str) -> None:
        doomed = [digest]
        while doomed:
            subject = doomed.pop()
            self._drop(repository, state, subject)
            doomed += [
                referrer
                for referrer, record in state.manifests.items()
                if record.subject == subject and not record.ghost and not self._locked(state, referrer)
            ]

    def _drop(self, repository: str, state: RepositoryState, digest: str) -> None:
        record = state.manifests.pop(digest)
        state.departed[digest] = record.updated
        state.updated = wire_time(self._clock())
        tags = [name for name, tag in state.tags.items() if tag.digest == digest]
        for name in tags:
            self._untag(state, name)
        if self.soft_delete_days and not record.ghost:
            bin_ = self.deleted.setdefault(repository, {})
            if digest in bin_:
                self._release(bin_[digest].record)
            bin_[digest] = Deleted(record, tags, self._clock())
        elif not record.ghost:
            self._release(record)
        if not state.manifests:
            del self._repositories[repository]

    def _untag(self, state: RepositoryState, name: str) -> None:
        state.departed[name] = state.tags.pop(name).updated
        state.updated = wire_time(self._clock())

    def _blobs_of(self, document: dict[str, Any]) -> dict[str, int]:
        """What a manifest uses; a foreign layer is among it where it was pushed."""
        pushed = {digest: self._sizes[digest] for digest in foreign_of(document) if digest in self._sizes}
        return {**pushed, **blobs_of(document)}

    def _hold(self, record: Record) -> None:
        for digest, declared in record.blobs.items():
            size = self._sizes.setdefault(digest, declared)
            if not self._blob_users[digest]:
                self._used_bytes += size
            self._blob_users[digest] += 1
        if not self._manifest_users[record.digest]:
            self._manifest_sizes[record.digest] = len(record.data)
            self._used_bytes += len(record.data)
        self._manifest_users[record.digest] += 1

    def _release(self, record: Record) -> None:
        for digest in record.blobs:
            self._blob_users[digest] -= 1
            if not self._blob_users[digest]:
                self._used_bytes -= self._sizes.pop(digest)
                self._forget(digest)
        self._manifest_users[record.digest] -= 1
        if not self._manifest_users[record.digest]:
            self._used_bytes -= self._manifest_sizes.pop(record.digest)

    def _forget(self, digest: str) -> None:
        self._links = {link for link in self._links if link[1] != digest}
        self._data.pop(digest, None)
        if self._directory:
            (self._directory / digest.replace(':', '-')).unlink(missing_ok=True)

"""What became of the manifests and tags that are to go from one repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from ..decide.verdicts import Verdict
from ..model import Content, Failed, Gone, Repository, Skipped
from ..reporter import Reporter

BEFORE, UNANSWERED, WITH_SUBJECT = 'before', 'unanswered', 'withSubject'
"""Why something is gone that this run does not call deleted: it was gone before its turn; a request of this run had no
answer, and then it was gone; the service deletes it with its subject, and that one was gone before."""

_STILL_THERE = 'the registry said that it was deleted, and lists it still'
_THERE_AGAIN = 'it was deleted, and is there again: somebody has pushed it since'
_MAY_HAVE_FALLEN = 'the registry may have deleted it with its subject, which is not known'
_NO_SUCH = 'the registry says that it is not there, and lists it still'


class Tally:
    """Each digest and each tag ends up in one of `deleted`, `untagged`, `gone`, `skipped` and `failed`, or untouched.

    A key is a digest, or a tag, which has no colon. `untag` has the digest that each tag is to be removed from.
    """

    def __init__(
        self, seen: Repository, doomed: AbstractSet[str], untag: Mapping[str, str], reporter: Reporter
    ) -> None:
        self.deleted: set[str] = set()
        self.untagged: set[str] = set()
        self.gone: dict[str, str] = {}
        self.skipped: dict[str, Verdict] = {}
        self.failed: dict[str, str] = {}
        self._seen = seen
        self._doomed = doomed
        self._untag = untag
        self._reporter = reporter
        self._not_found: set[str] = set()
        self._dangling: dict[str, str] = {}
        self._certain: set[str] = set()

    @property
    def left(self) -> frozenset[str]:
        """The digests and tags that are untouched."""
        return frozenset({*self._doomed, *self._untag}.difference(*self._parts()))

    def done(self, key: str) -> None:
        """The registry has deleted it.

        A referrer whose subject somebody else deleted is theirs: the service would have deleted it in any case.
        """
        if key in self._untag:
            self.untagged.add(key)
        elif any(subject in self.gone and self._was_there(subject) for subject in self._subjects(key)):
            self.gone[key] = WITH_SUBJECT
        else:
            self.deleted.add(key)
        self._reporter.deleted()

    def not_found(self, key: str, unanswered: bool = False) -> None:
        """The registry says that it is not there. What refers to something that this run deleted went with that."""
        self._not_found.add(key)
        self.not_there([key], {key} if unanswered else frozenset())

    def not_there(self, keys: Iterable[str], unanswered: AbstractSet[str] = frozenset()) -> None:
        """A listing does not show these. An earlier request of this run for the `unanswered` ones had no answer."""
        for key in keys:
            if self._fell(key):
                self.deleted.add(key)
            else:
                self.gone[key] = UNANSWERED if key in unanswered else BEFORE
            self._reporter.deleted()

    def skip(self, verdicts: Mapping[str, Verdict]) -> None:
        self.skipped.update(verdicts)
        for _ in verdicts:
            self._reporter.deleted()

    def fail(self, keys: Iterable[str], error: str, is_certain: bool = False) -> None:
        """These failed. Where that is certain, a listing after the run does not change it."""
        for key in keys:
            self.failed[key] = error
            if is_certain:
                self._certain.add(key)
            self._reporter.deleted()

    def contradicted(self, after: Repository) -> bool:
        """Whether a listing after the run shows something that is to be gone."""
        return any(self._still_there(after))

    def settle(self, after: Repository, unanswered: AbstractSet[str]) -> None:
        """Believe a listing after the run: what it shows was not deleted, what it does not show is gone.

        Where it does not show all that is there, it is believed only in what it shows.
        """
        for key, error in list(self._still_there(after)):
            for part in (self.deleted, self.untagged):
                part.discard(key)
            self.gone.pop(key, None)
            (self.failed if key in self._untag or ':' in key else self._dangling)[key] = error
        if after.unseen is None:
            missing = sorted(self._doomed - set(after.manifests))
            for digest in [each for each in missing if each not in self.deleted and each not in self.gone]:
                self._settle_missing(digest, unanswered)
            for digest in sorted(self.skipped.keys() & set(missing)):
                self._settle_spared(digest)
            doubtful = self.failed.keys() - self._certain - after.tags.keys()
            for tag in sorted(doubtful.intersection(self._untag)):
                del self.failed[tag]
                self.gone[tag] = UNANSWERED if tag in unanswered else BEFORE

    def doubt(self, fails: bool) -> bool:
        """No listing tells what became of it: gives whether the service may have taken more along with its subject.

        That has failed, if it `fails`, and is left otherwise.
        """
        sent = self.deleted | self.failed.keys()
        fallen = [
            digest
            for digest in sorted(self._doomed - sent - self.gone.keys())
            if not sent.isdisjoint(self._subjects(digest))
        ]
        for digest in fallen if fails else ():
            self.skipped.pop(digest, None)
            self.fail([digest], _MAY_HAVE_FALLEN)
        return bool(fallen)

    def all_skipped(self) -> Iterator[Skipped]:
        for key, verdict in sorted(self.skipped.items()):
            digest, tag = self._named(key)
            yield Skipped(self._seen.name, digest, verdict.reason, verdict.because, tag)

    def all_failed(self) -> Iterator[Failed]:
        for key, error in sorted({**self.failed, **self._dangling}.items()):
            digest, tag = self._named(key)
            yield Failed(self._seen.name, digest, error, tag)

    def all_gone(self) -> Iterator[Gone]:
        for key, reason in sorted(self.gone.items()):
            digest, tag = self._named(key)
            yield Gone(self._seen.name, digest, reason, tag)

    def _settle_missing(self, digest: str, unanswered: AbstractSet[str]) -> None:
        """A doomed manifest that is not there any more, and is not yet known to be gone."""
        untouched = digest in self.left
        if self._fell(digest):
            self.skipped.pop(digest, None)
            self.failed.pop(digest, None)
            self.deleted.add(digest)
        elif digest in self.failed or untouched:
            self.failed.pop(digest, None)
            self.gone[digest] = UNANSWERED if digest in unanswered else BEFORE

    def _settle_spared(self, digest: str) -> None:
        """One that was left alone for its subject, which is gone all the same, and took it along."""
        reasons = [self.gone[subject] for subject in self._subjects(digest) if subject in self.gone]
        if reasons:
            del self.skipped[digest]
            self.gone[digest] = UNANSWERED if UNANSWERED in reasons else WITH_SUBJECT

    def _still_there(self, after: Repository) -> Iterator[tuple[str, str]]:
        """(key, what is wrong) of all that is to be gone, and is listed."""
        for digest in sorted((self.deleted | self._not_found).intersection(after.manifests)):
            before, now = self._seen.manifests[digest], after.manifests[digest]
            anew = before.last_update_time != now.last_update_time
            yield digest, _THERE_AGAIN if anew else _NO_SUCH if digest in self._not_found else _STILL_THERE
        for tag in sorted(after.tags):
            known, now_on = self._seen.tags.get(tag), after.tags[tag]
            if tag in self.untagged or tag in self._not_found:
                same = known and (known.digest, known.last_update_time) == (now_on.digest, now_on.last_update_time)
                if same:
                    yield tag, _NO_SUCH if tag in self._not_found else _STILL_THERE
            elif now_on.digest in self.deleted and now_on.digest not in after.manifests:
                yield tag, _STILL_THERE

    def _was_there(self, digest: str) -> bool:
        return isinstance(self._seen.manifests[digest].content, Content)

    def _fell(self, digest: str) -> bool:
        """Whether the service deletes it with something that this run deleted."""
        return any(subject in self.deleted for subject in self._subjects(digest))

    def _subjects(self, digest: str) -> Iterator[str]:
        """The subject of a manifest, the subject of that, and so on."""
        passed: set[str] = set()
        while digest not in passed:
            passed.add(digest)
            manifest = self._seen.manifests.get(digest)
            if manifest is None or not isinstance(manifest.content, Content) or manifest.content.subject is None:
                return
            digest = manifest.content.subject
            yield digest

    def _named(self, key: str) -> tuple[str, str | None]:
        """The digest that a key stands for, and the tag where it is one."""
        if key in self._untag:
            return self._untag[key], key
        if ':' in key:
            return key, None
        return next(digest for digest, manifest in self._seen.manifests.items() if key in manifest.tags), key

    def _parts(self) -> Iterable[Iterable[str]]:
        return self.deleted, self.untagged, self.gone, self.skipped, self.failed

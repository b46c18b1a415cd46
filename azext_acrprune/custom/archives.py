"""`az acr prune archive`: what is in an archive, whether it is whole, and what of it is kept. Asks no registry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from knack.log import get_logger

from .._errors import typed_errors
from .archiving import open_target, patience_with
from .caching import login_server
from .command import Command
from .consent import is_confirmed, refuse_without_consent
from .failures import alarm, exit_by
from .options import PriceOptions, read
from .questions import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..archive.catalog import Catalog
    from ..archive.pure.layout import Record
    from ..archive.target import Target
    from ..decide.named import ImageName
    from ..documents.cost import Price
    from ..model import Document

logger = get_logger(__name__)

_MOST_ALARMS = 5


def list_images(
    cmd: Command,
    archive: str,
    registry_name: str | None = None,
    suffix: str | None = None,
    repository: list[str] | None = None,
) -> Document:
    """The images in an archive, each with its tags and when it was archived."""
    from ..archive.archive_documents import list_document

    host = login_server(cmd, registry_name, suffix) if registry_name else None
    with typed_errors():
        target = open_target(cmd, archive)
        catalog = _catalog(target)
        return list_document(target.name, catalog, _wanted(host, repository or []))


def show(cmd: Command, archive: str, images: list[ImageName] | None = None, **kwargs: object) -> Document:
    """An archive as a whole, with what it takes and costs; or one image of it."""
    from ..archive.archive_documents import show_document

    price = read(PriceOptions, kwargs).price
    with typed_errors():
        target = open_target(cmd, archive)
        catalog = _catalog(target)
        if images:
            return _image(target, catalog, images[0])
        sizes = target.sizes()
        return show_document(target.name, catalog, sizes, target.journals(), _cost(price, sum(sizes.values())))


def verify(cmd: Command, archive: str) -> Document:
    """Compare every blob with its digest, and see whether every image could come back."""
    from ..archive.archive_documents import verify_document
    from ..archive.upkeep import verify
    from ..show.progress import progress

    with typed_errors():
        target = open_target(cmd, archive)
        with progress(cmd.cli_ctx) as reporter:
            reporter.transfer_planned(sum(target.sizes().values()))
            verified = verify(target, reporter.transferred)
    document = verify_document(target.name, verified)
    _warn(verified.troubles)
    for each in document['failed'][:_MOST_ALARMS]:
        name = f'{each["repository"]}@{each["digest"]}'
        alarm(cmd, f"'{name}' cannot come back from this archive: {each['error']}.")
    exit_by(cmd, document['exitReason'], 'Not all of the archive could come back.')
    return document


def expire(cmd: Command, archive: str, older_than: str, yes: bool = False, dry_run: bool = False) -> Document:
    """Take out of the index what was archived long ago."""
    from ..archive.archive_documents import expire_document
    from ..archive.upkeep import expire, find_expired
    from ..show.archive_told import expire_told
    from ..show.sizes import count

    before = _before(older_than)
    with typed_errors():
        target = open_target(cmd, archive)
        _may_ask(cmd, yes, dry_run)
        found = find_expired(target, before)
        if not dry_run and found.gone:
            _hold(cmd, f'Take {count(len(found.gone), "entry")} out of {target.name}?', yes)
            found = expire(target, before, patience_with(target))
    document = expire_document(target.name, found, dry_run)
    cmd.cli_ctx.output.say_below(expire_told(document))
    return document


def compact(cmd: Command, archive: str, yes: bool = False, dry_run: bool = False) -> Document:
    """Remove the blobs that nothing in an archive needs."""
    from ..archive.archive_documents import compact_document
    from ..archive.upkeep import compact, find_garbage
    from ..show.archive_told import compact_told
    from ..show.sizes import count, human_size

    with typed_errors():
        target = open_target(cmd, archive)
        _may_ask(cmd, yes, dry_run)
        garbage = find_garbage(target)
        if not dry_run:
            question = f'Remove {count(len(garbage.sizes), "blob")}, {human_size(garbage.size)}, from {target.name}?'
            if garbage.sizes:
                _hold(cmd, question, yes)
            garbage = compact(target, patience_with(target))
    document = compact_document(target.name, garbage, dry_run)
    cmd.cli_ctx.output.say_below(compact_told(document))
    return document


def repair(cmd: Command, archive: str, yes: bool = False, dry_run: bool = False) -> Document:
    """Make the index of an archive anew, from what is left of it and from the blobs."""
    from ..archive.archive_documents import repair_document
    from ..archive.upkeep import find_repair, repair
    from ..show.archive_told import repair_told
    from ..show.sizes import count

    with typed_errors():
        target = open_target(cmd, archive)
        _may_ask(cmd, yes, dry_run)
        found = find_repair(target)
        if not dry_run and found.changes:
            images = count(sum(1 for record in found.index.records if record.tag is None), 'image')
            lost = f', without {count(len(found.lost), "entry")} that cannot come back' if found.lost else ''
            _hold(cmd, f'Write an index of {images} to {target.name}{lost}?', yes)
            found = repair(target, patience_with(target))
    for record in found.lost:
        logger.warning('%s is lost: its manifest is missing or damaged.', record.name)
    document = repair_document(target.name, found, dry_run)
    cmd.cli_ctx.output.say_below(repair_told(document))
    return document


def _catalog(target: Target) -> Catalog:
    from ..archive.catalog import catalog_of
    from .session import collect_garbage_seldom

    collect_garbage_seldom()
    catalog = catalog_of(target)
    _warn(catalog.troubles)
    return catalog


def _warn(troubles: tuple[str, ...]) -> None:
    for trouble in troubles:
        logger.warning(trouble)


def _wanted(host: str | None, repositories: list[str]) -> Callable[[Record], bool]:
    """Whether an image is of this registry, and of one of these repositories, which are patterns."""
    from ..policy.patterns import glob

    patterns = [glob(name) for name in repositories]

    def is_wanted(record: Record) -> bool:
        here = host in (None, record.registry)
        return here and (not patterns or any(pattern.matches(record.repository) for pattern in patterns))

    return is_wanted


def _image(target: Target, catalog: Catalog, image: ImageName) -> Document:
    """One image; of several that had a tag the one that was archived last. Raises NotAnImage, and NotInArchive."""
    from ..archive.archive_documents import image_document
    from ..archive.pure.choose import NotInArchive
    from ..archive.stored import named, read_kept
    from ..decide.named import whole_digest

    whole = whole_digest(image, {each.digest for each in catalog.index.records if each.repository == image.repository})
    is_named = named([replace(image, digest=whole)])
    found = max(filter(is_named, catalog.index.records), key=lambda record: record.archived_at, default=None)
    if not found:
        raise NotInArchive(image.text, target.name)
    node = found.registry, found.repository, found.digest
    records = [each for each in catalog.index.records if (each.registry, each.repository, each.digest) == node]
    kept = read_kept(target, [found.digest]).get(found.digest)
    if kept is None:
        from ..archive.target import ArchiveError

        raise ArchiveError(
            f"The manifest {found.digest} in '{target.name}' is missing or damaged.",
            'Look for another archive that has it.',
        )
    held = target.held(blob.digest for blob in kept.content.blobs)
    return image_document(target.name, catalog.index, records, kept, held)


def _cost(price: Price | None, size: int) -> Document:
    """What the archive costs in a month, where the user says what a GiB and day costs there."""
    from ..documents.cost import DAYS_PER_MONTH, money, per_month

    return {
        'pricePerGiBDay': format(price.amount, 'f') if price else None,
        'currency': price.currency if price else None,
        'daysPerMonth': DAYS_PER_MONTH,
        'perMonth': money(per_month(price, size)) if price else None,
    }


def _before(older_than: str) -> int:
    """The instant, in ticks, before which something is that old."""
    import time

    from ..model import TICKS_PER_SECOND
    from ..policy.ages import parse_age_or_date

    now = time.time()
    return int((now - parse_age_or_date(older_than, now)) * TICKS_PER_SECOND)


def _may_ask(cmd: Command, yes: bool, dry_run: bool) -> None:
    if not dry_run:
        refuse_without_consent(cmd, yes)


def _hold(cmd: Command, question: str, yes: bool) -> None:
    """Return when somebody agreed. Raises CLIError where they decline."""
    if not is_confirmed(cmd, yes):
        ask(question)

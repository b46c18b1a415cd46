"""What of an image stays when it is deleted by name, and what keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..decide.decision import Decision
from ..decide.graph import build_graph
from ..decide.named import digest_of, parse_image, staying
from ..decide.reasons import sentence_of
from ..decide.verdicts import Verdict
from ..model import Skipped


def staying_of_named(decision: Decision) -> list[dict[str, Any]]:
    """Of the images that were named: themselves, their parts and what refers to them, as far as they stay."""
    named: dict[str, set[str]] = {}
    for text in decision.given['images']:
        image = parse_image(text)
        named.setdefault(image.repository, set()).add(digest_of(image, decision.inventory))
    return [row for name, digests in sorted(named.items()) for row in _rows(decision, name, digests)]


def named_that_stay(decision: Decision) -> tuple[Skipped, ...]:
    """The images that were named and stay all the same, each with what keeps it."""
    named = [parse_image(text) for text in decision.given['images']]
    nodes = sorted({(image.repository, digest_of(image, decision.inventory)) for image in named})
    return tuple(
        Skipped(name, digest, verdict.reason, verdict.because)
        for name, digest in nodes
        for verdict in [decision.verdicts[name][digest]]
        if verdict.kept
    )


def _rows(decision: Decision, name: str, digests: set[str]) -> Iterator[dict[str, Any]]:
    repository = next(each for each in decision.inventory.repositories if each.name == name)
    stays = staying(decision.verdicts[name], build_graph(repository), digests)
    return ({'repository': name, **row} for row in staying_rows(stays))


def staying_rows(stays: Mapping[str, Verdict]) -> list[dict[str, Any]]:
    """What of an image stays when it is deleted, with what keeps it, in order of digest."""
    return [
        {'digest': digest, 'reason': verdict.reason, 'because': verdict.because}
        for digest, verdict in sorted(stays.items())
    ]


def staying_sentence(image: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """What keeps an image itself, or else some of its parts and what refers to it. None where nothing of it stays."""
    own = [row for row in rows if row['digest'] == image]
    if own:
        return f'It would stay, because {sentence_of(True, own[0]["reason"], own[0]["because"])}.'
    if not rows:
        return None
    first = f'{rows[0]["digest"]} stays, because {sentence_of(True, rows[0]["reason"], rows[0]["because"])}'
    more = len(rows) - 1
    return f'{first}{f"; and {more:,} more of its parts and referrers stay" if more else ""}.'

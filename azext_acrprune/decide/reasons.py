"""The reasons why a manifest or a tag stays or goes, and how each of them is told.

Documents carry the words that are defined here; they are stable. What people read of a reason is in one table.
"""

from __future__ import annotations

from typing import NamedTuple

TAGGED = 'tagged'
LOCKED = 'locked'
PINNED = 'pinned'
YOUNG = 'young'
KEEP_NEWEST = 'keepNewest'
EXCLUDED = 'excluded'
UNREADABLE = 'unreadable'
QUARANTINED = 'quarantined'
UNRANKED = 'unranked'
NOT_DUE = 'notDue'
UNKNOWN = 'unknown'
ENOUGH = 'enough'
TO_RETIRE = 'retire'
RETIRED = 'retired'
CHILD_OF = 'childOf'
REFERRER_OF = 'referrerOf'
SUBJECT_OF = 'subjectOf'
NOT_IN_PLAN = 'notInPlan'

UNTAGGED = 'untagged'
MATCHED = 'matched'
SUPERSEDED = 'superseded'
NAMED = 'named'
RETENTION = 'retention'

TAGS_CHANGED = 'tagsChanged'
UPDATED = 'updated'

RELATIONS = (CHILD_OF, REFERRER_OF, SUBJECT_OF)
"""Reasons that lie in another manifest, of which the verdict gives the digest."""


class Told(NamedTuple):
    """How one reason is told.

    `sentence` is a part of a sentence about one manifest, with `{}` for what the verdict gives as the cause. `label` is
    a word or two for a report. `kept` tells about all manifests that stay for the reason, and `state` is the group of
    reasons that a report shows them in. `goes` is the sentence for a manifest that goes, where that is another one, and
    `gone` tells about all manifests that go for the reason, where the label does not.
    """

    sentence: str
    label: str
    kept: str = ''
    state: str = ''
    goes: str = ''
    gone: str = ''


TOLD = {
    TAGGED: Told('it has the tag {}, which nothing takes', 'has a tag', 'with a tag', 'tagged'),
    LOCKED: Told(
        'it is locked ({})', 'locked', 'locked, by their own lock, that of a tag or of the repository', 'protected'
    ),
    PINNED: Told('it is pinned ({})', 'pinned', 'in use, or protected by their digest', 'protected'),
    YOUNG: Told('it was changed too recently ({})', 'too young', 'younger than the age asked for', 'recent'),
    KEEP_NEWEST: Told(
        'it is among the newest, which stay ({})', 'among the newest', 'among the newest, which stay', 'recent'
    ),
    EXCLUDED: Told(
        'it was left out ({})', 'excluded', 'not selected, excluded, ghosts, or orphan attachments', 'excluded'
    ),
    UNREADABLE: Told(
        'something about it, or about what may need it, could not be read ({})',
        'could not be read',
        'unreadable, or in a repository with something unreadable',
        'unreadable',
    ),
    UNRANKED: Told(
        'a number of images is kept, and it has no place among them ({})',
        'without a rank',
        'without a place among those of which a number is kept',
        'excluded',
    ),
    NOT_DUE: Told('its rule waits for something ({})', 'not due', 'not due by the rule that claims it', 'recent'),
    ENOUGH: Told('its rule has taken enough ({})', 'enough taken', 'of which a rule took enough', 'excluded'),
    TO_RETIRE: Told('it is retired first ({})', 'to be retired', 'to be retired: pulls of them will fail', 'recent'),
    RETIRED: Told('it is retired ({})', 'retired', 'retired, so that pulls of them fail', 'recent'),
    UNKNOWN: Told(
        'a fact is missing that its rule asks for ({})',
        'a fact is missing',
        'with a fact missing that its rule asks for',
        'unreadable',
    ),
    QUARANTINED: Told('it is in quarantine ({})', 'in quarantine', 'in quarantine', 'protected'),
    CHILD_OF: Told(
        'it is a part of the index {}, which stays',
        'part of an index',
        'in an index that stays',
        'needed',
        'it is a part of the index {}, which goes, and nothing else needs it',
        'in an index that goes',
    ),
    REFERRER_OF: Told(
        'it refers to {}, which stays',
        'refers to a subject',
        'referring to a manifest that stays (signatures, SBOMs)',
        'needed',
        'it refers to {}, which goes',
        'referring to a manifest that goes (signatures, SBOMs)',
    ),
    SUBJECT_OF: Told('{} refers to it and stays', 'subject of a referrer', 'with a referrer that stays', 'needed'),
    NOT_IN_PLAN: Told('the plan does not take it ({})', 'not in the plan', '', 'excluded'),
    UNTAGGED: Told('it has no tag, and nothing needs it ({})', 'untagged'),
    MATCHED: Told('its tags go ({})', 'tags selected'),
    SUPERSEDED: Told('newer ones refer to the same image ({})', 'superseded'),
    NAMED: Told('it was named ({})', 'named'),
    RETENTION: Told('the registry deletes what loses its last tag ({})', 'retention policy'),
}


def sentence_of(kept: bool, reason: str, because: str) -> str:
    """Why one manifest stays, or goes."""
    told = TOLD[reason]
    return (told.sentence if kept or not told.goes else told.goes).format(because)

"""What the last run promised, beside what Azure says since."""

import pytest

from azext_acrprune.documents.promised import since_fields
from azext_acrprune.model import Account
from azext_acrprune.show.money import since_lines

MIB = 1024**2
SUMMARY = {'freedBytes': 10 * MIB, 'impact': 'exact', 'softDeleteRetentionDays': None}


def since(used, summary=SUMMARY, regions=1, before=100 * MIB):
    run = {'run': '20261129T0', 'at': '2026-11-29T00:00:00Z', 'summary': summary, 'usedBytes': before}
    return since_fields(run, Account('Premium', used_bytes=used, regions=regions))


def test_a_promise_that_azure_has_counted_is_all():
    fields = since(90 * MIB)
    assert (fields['lessBytes'], fields['restBytes'], fields['restMayBe']) == (10 * MIB, 0, [])
    assert since_lines(fields) == [
        'The last run (20261129T0) freed 10.0 MiB; since then the number of Azure went down by 10.0 MiB, '
        'which is all of it.'
    ]


@pytest.mark.parametrize(
    'summary, regions, causes',
    [
        ({}, 1, ['countedLater', 'pushes']),
        ({'softDeleteRetentionDays': 7}, 1, ['softDeleted', 'countedLater', 'pushes']),
        ({'impact': 'upperBound'}, 3, ['countedLater', 'pushes', 'replicas', 'bound']),
    ],
)
def test_what_azure_has_not_counted_has_causes(summary, regions, causes):
    fields = since(94 * MIB, {**SUMMARY, **summary}, regions)
    assert (fields['restBytes'], fields['restMayBe']) == (4 * MIB, causes)
    (line,) = since_lines(fields)
    assert 'The difference of 4.0 MiB may be: ' in line
    assert line.endswith('The bill stops at once, the number follows later.')


def test_azure_may_count_more_than_was_promised():
    assert since(80 * MIB)['restMayBe'] == ['deletions']
    assert since(80 * MIB, {**SUMMARY, 'freedLaterBytes': 5})['restMayBe'] == ['retention', 'deletions']
    assert 'went up by 5.0 MiB' in since_lines(since(105 * MIB))[0]


def test_where_something_is_not_known_nothing_is_said():
    assert since(None) is None and since(5, before=None) is None and since_fields(None, Account(used_bytes=5)) is None
    assert since_lines(None) == []

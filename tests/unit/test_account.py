"""What Azure says that a registry uses, beside what can be accounted for."""

import pytest

from azext_acrprune.documents.cost import account_fields
from azext_acrprune.model import Account
from azext_acrprune.show.money import account_line

MIB = 1024**2


def test_used_bytes_are_accounted_for_or_not_and_the_causes_are_named():
    account = Account('Standard', 7, used_bytes=30 * MIB, limit_bytes=100 * MIB, regions=1)
    fields = account_fields(account, 20 * MIB, 'exact')
    assert (fields['accountedBytes'], fields['unaccountedBytes']) == (20 * MIB, 10 * MIB)
    assert fields['unaccountedMayBe'] == ['softDeleted', 'uploads', 'countedLater']
    assert account_line(fields) == (
        'Azure says that 30.0 MiB of 100.0 MiB are used: manifests and layers account for 20.0 MiB, 10.0 MiB are not '
        'accounted for (soft-deleted images, uploads that no manifest uses, what Azure counts with a delay).'
    )


def test_the_registry_is_in_each_of_its_regions():
    fields = account_fields(Account('Premium', used_bytes=60, regions=3), 20, 'exact')
    assert (fields['accountedBytes'], fields['unaccountedBytes'], fields['unaccountedMayBe']) == (60, 0, [])
    assert account_line(fields) == (
        'Azure says that 60 B are used: manifests and layers account for 60 B in 3 regions, which is all.'
    )


@pytest.mark.parametrize(
    'account, impact, cause',
    [
        (Account('Premium', used_bytes=50), 'exact', 'replicas'),
        (Account('Basic', used_bytes=50, regions=1), 'upperBound', 'unread'),
    ],
)
def test_what_is_not_known_may_be_the_difference(account, impact, cause):
    assert cause in account_fields(account, 20, impact)['unaccountedMayBe']


def test_azure_may_say_less_than_there_is():
    fields = account_fields(Account('Basic', used_bytes=5, regions=1), 20, 'exact')
    assert (fields['unaccountedBytes'], fields['unaccountedMayBe']) == (-15, ['countedLater'])
    assert '15 B more than it says' in account_line(fields)


def test_what_may_not_be_asked_is_null_and_says_why():
    fields = account_fields(Account(why='The real usage is not known: no.'), 20, 'exact')
    assert {fields[key] for key in ('usedBytes', 'limitBytes', 'regions', 'accountedBytes', 'unaccountedBytes')} == {
        None
    }
    assert account_line(fields) == 'The real usage is not known: no.'

"""What Azure says that a registry uses, beside what can be accounted for."""

from azext_acrprune.documents.cost import account_fields
from azext_acrprune.model import Account
from azext_acrprune.show.money import account_line

MIB = 1024**2


def test_used_bytes_are_accounted_for_or_not_and_the_causes_are_named():
    account = Account('Standard', 7, used_bytes=30 * MIB, included_bytes=100 * MIB, limit_bytes=400 * MIB, regions=1)
    fields = account_fields(account, 20 * MIB, 'exact')
    assert (fields['accountedBytes'], fields['unaccountedBytes']) == (20 * MIB, 10 * MIB)
    assert fields['unaccountedMayBe'] == ['softDeleted', 'uploads', 'countedLater']
    assert account_line(fields) == (
        'Azure says that 30.0 MiB are used (100.0 MiB are included, the limit is 400.0 MiB): manifests and layers '
        'account for 20.0 MiB, 10.0 MiB are not accounted for '
        '(soft-deleted images, uploads that no manifest uses, what Azure counts with a delay).'
    )


def test_azure_counts_the_home_region_alone():
    fields = account_fields(Account('Premium', used_bytes=20, regions=3), 20, 'exact')
    assert (fields['accountedBytes'], fields['unaccountedBytes'], fields['unaccountedMayBe']) == (20, 0, [])
    assert account_line(fields) == (
        'Azure says that 20 B are used in the home region: manifests and layers account for 20 B, which is all.'
    )


def test_what_is_not_known_may_be_the_difference():
    account = Account('Basic', used_bytes=50, regions=1)
    assert 'unread' in account_fields(account, 20, 'upperBound')['unaccountedMayBe']


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

"""What storage costs: exact until the last step, and nothing is invented."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.documents.cost import DAYS_PER_MONTH, GIB, INCLUDED_GIB, Price, cost_fields, money, parse_price
from azext_acrprune.model import Account
from azext_acrprune.show.money import cost_line, saving_line

CENT = Price(Decimal('0.01'), 'USD')

skus = st.sampled_from(sorted(INCLUDED_GIB))
sizes = st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 600 * GIB))
prices = st.builds(
    lambda digits, places: Price(Decimal(digits).scaleb(-places), '€'), st.integers(0, 10**12), st.integers(0, 12)
)


@pytest.mark.parametrize(
    'text, amount, currency',
    [
        ('0.003', '0.003', ''),
        ('0.003 USD', '0.003', 'USD'),
        ('0.003USD', '0.003', 'USD'),
        ('€0.003', '0.003', '€'),
        ('€ 0.003', '0.003', '€'),
        (' 3 kr ', '3', 'kr'),
        ('0', '0', ''),
        ('0.10 US dollars', '0.10', 'US dollars'),
        ('0.003 USD/GiB', '0.003', 'USD'),
        ('0.003 USD/GiB/day', '0.003', 'USD'),
        ('0.003 USD / GB / d', '0.003', 'USD'),
        ('$0.003/day/GiB', '0.003', '$'),
        ('USD 0.003 per GiB per day', '0.003', 'USD'),
        ('0.003 USD per GiB and day', '0.003', 'USD'),
        ('0.003 € a GiB and a day', '0.003', '€'),
        ('0.003 USD/GiB-day', '0.003', 'USD'),
        ('0.003 per gib', '0.003', ''),
    ],
)
def test_a_price_is_a_number_and_any_currency(text, amount, currency):
    assert parse_price(text) == Price(Decimal(amount), currency)


@pytest.mark.parametrize(
    'text',
    [
        '',
        'USD',
        '-1',
        '+1',
        '1,5',
        '1.2.3',
        '.5',
        '1.',
        'nan',
        'inf',
        '1e3 2',
        '0x10',
        '$1€',
        '1' * 10,
        '0.' + '1' * 13,
        '1 \x1b[31m',
        '1 \u202e',
        '1 ' + 'x' * 17,
        '٣',
        '0.10 USD/GiB/month',
        '0.10 USD per month',
        '3 USD/TiB/day',
        '0.003 USD/GiB/GiB',
        '0.003 USD/layer',
    ],
)
def test_what_is_no_price_is_refused(text):
    with pytest.raises(ValueError):
        parse_price(text)


@given(st.text(max_size=40))
def test_any_text_is_a_price_or_refused(text):
    try:
        price = parse_price(text)
    except ValueError:
        return
    assert price.amount >= 0 and price.currency.isprintable()


def exactly(price, billed):
    return Fraction(price.amount) * DAYS_PER_MONTH * billed / GIB


@given(skus, sizes, sizes, prices)
def test_a_saving_is_the_difference_in_what_is_billed_for_30_days(sku, used, freed, price):
    freed = min(freed, used)
    fields = cost_fields(Account(sku, used_bytes=used, regions=1), 1, price, freed)
    before, after = (max(0, size - INCLUDED_GIB[sku] * GIB) for size in (used, used - freed))
    assert (fields['billedBytes'], fields['savedBilledBytes']) == (before, before - after)
    for text, billed in ((fields['perMonth'], before), (fields['savedPerMonth'], before - after)):
        assert abs(Fraction(text) - exactly(price, billed)) <= Fraction(1, 20_000)
        assert len(text.partition('.')[2]) == 4 and 'E' not in text
    assert fields['why'] is None


def test_money_is_rounded_half_up():
    assert [money(Decimal(text)) for text in ('0.00005', '0.000049', '1.23455', '7')] == [
        '0.0001',
        '0.0000',
        '1.2346',
        '7.0000',
    ]


def test_what_lies_within_the_included_storage_saves_nothing():
    fields = cost_fields(Account('Basic', used_bytes=11 * GIB, regions=1), 0, CENT, 3 * GIB)
    assert (fields['billedBytes'], fields['savedBilledBytes'], fields['savedPerMonth']) == (GIB, GIB, '0.3000')
    within = cost_fields(Account('Basic', used_bytes=10 * GIB, regions=1), 0, CENT, 3 * GIB)
    assert (within['perMonth'], within['savedPerMonth']) == ('0.0000', '0.0000')
    assert saving_line(within, 'exact') == 'That saves nothing: it lies within the 10.0 GiB that Basic includes.'


def test_what_goes_goes_in_every_region():
    account = Account('Premium', used_bytes=1_000 * GIB, regions=3)
    fields = cost_fields(account, 0, CENT, GIB)
    assert (fields['usedBytes'], fields['billedBytes'], fields['savedBilledBytes']) == (
        3_000 * GIB,
        2_500 * GIB,
        3 * GIB,
    )
    assert ': 2.4 TiB of 2.9 TiB in 3 regions are beyond the 500.0 GiB that Premium includes.' in cost_line(fields)
    one = cost_fields(Account('Premium', used_bytes=1_000 * GIB, regions=1), 0, CENT, GIB)
    assert one['billedBytes'] == 500 * GIB


def test_what_azure_says_is_included_counts_before_the_list_of_skus():
    fields = cost_fields(Account('Gold', used_bytes=30 * GIB, included_bytes=20 * GIB, regions=1), 0, CENT)
    assert (fields['includedBytes'], fields['billedBytes'], fields['why']) == (20 * GIB, 10 * GIB, None)


def test_without_the_real_usage_manifests_and_layers_count_once_and_the_document_says_so():
    fields = cost_fields(Account('Basic', why='No.'), 15 * GIB, CENT, 6 * GIB)
    assert (fields['usedBytes'], fields['usedBytesBy'], fields['savedBilledBytes']) == (
        15 * GIB,
        'registryBytes',
        5 * GIB,
    )
    assert cost_line(fields).endswith('that Basic includes, by what manifests and layers take.')


@pytest.mark.parametrize(
    'account, registry_bytes, price, missing',
    [
        (Account(), 5, CENT, ['the SKU of the registry is not known']),
        (Account('Basic', used_bytes=5), 5, None, ['no price was given']),
        (Account(used_bytes=5), 5, None, ['the SKU of the registry is not known', 'no price was given']),
        (Account('Classic', used_bytes=5), 5, CENT, ['how much storage the SKU of the registry includes']),
        (Account('Basic'), None, CENT, ['neither Azure nor a complete scan']),
    ],
)
def test_without_all_that_it_takes_there_is_no_cost_and_a_sentence_on_what_is_missing(
    account, registry_bytes, price, missing
):
    fields = cost_fields(account, registry_bytes, price, 3)
    assert (fields['perMonth'], fields['savedPerMonth']) == (None, None)
    assert all(each in fields['why'] for each in missing)
    assert cost_line(fields) == fields['why']
    assert saving_line(fields, 'exact') == f'What that saves is not known. {fields["why"]}'


def test_the_sentences_have_the_price_and_round_to_cents():
    account = Account('Basic', used_bytes=12 * GIB, regions=1)
    fields = cost_fields(account, 0, Price(Decimal('0.003'), 'USD'), GIB)
    assert cost_line(fields) == (
        'Cost of storage: 0.18 USD in 30 days, at 0.003 USD for a GiB and day: 2.0 GiB of '
        '12.0 GiB are beyond the 10.0 GiB that Basic includes.'
    )
    assert saving_line(fields, 'exact') == 'That saves 0.09 USD in 30 days, at 0.003 USD for a GiB and day.'
    assert saving_line(fields, 'upperBound').startswith('That saves at most 0.09 USD')
    little = cost_fields(account, 0, Price(Decimal('0.003'), 'USD'), 1_000_000)
    assert saving_line(little, 'exact').startswith('That saves under 0.01 USD in')

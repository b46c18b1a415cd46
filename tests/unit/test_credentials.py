"""What the resource manager says of a registry."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace

import pytest
from azure.core.exceptions import HttpResponseError
from knack.util import CLIError

from azext_acrprune.model import Account
from azext_acrprune.registry.credentials import RegistryFacts, registry_account, registry_facts


@pytest.fixture
def answer(monkeypatch):
    """Puts a registry, or an error, where az asks the resource manager."""

    def put(registry):
        def get(*_):
            if isinstance(registry, Exception):
                raise registry
            return registry, 'group'

        monkeypatch.setattr('azure.cli.command_modules.acr._utils.get_registry_by_name', get)
        return registry_facts(SimpleNamespace(cli_ctx=None), 'my', None)

    return put


def test_the_sku_and_soft_delete_are_read_from_one_answer(answer):
    soft_delete = SimpleNamespace(status='enabled', retention_days=7)
    facts = answer(
        SimpleNamespace(sku=SimpleNamespace(name='Premium'), policies=SimpleNamespace(soft_delete_policy=soft_delete))
    )
    assert facts == RegistryFacts(soft_delete_days=7, sku='Premium', regions=None, cache_rules=None)


@pytest.mark.parametrize(
    'registry',
    [SimpleNamespace(), SimpleNamespace(sku=None), SimpleNamespace(sku=SimpleNamespace(name=3)), CLIError('no')],
)
def test_nothing_is_known_where_nothing_is_said(answer, registry):
    assert answer(registry) == RegistryFacts()


def test_a_sku_that_a_client_knows_is_its_plain_name(answer):
    class Sku(str, Enum):
        PREMIUM = 'Premium'

    assert answer(SimpleNamespace(sku=SimpleNamespace(name=Sku.PREMIUM))).sku.__class__ is str


SIZE = SimpleNamespace(name='Size', current_value=7, limit=100)


@pytest.fixture
def account(monkeypatch):
    """Puts usages and replications, or errors, where az asks the resource manager."""

    def put(usages, locations=('here',), sku='Premium'):
        def raised(value):
            if isinstance(value, Exception):
                raise value
            return value

        client = SimpleNamespace(
            registries=SimpleNamespace(list_usages=lambda *_: raised(usages)),
            replications=SimpleNamespace(
                list=lambda *_: raised(locations) and [SimpleNamespace(location=location) for location in locations]
            ),
        )
        monkeypatch.setattr(
            'azure.cli.command_modules.acr._utils.get_resource_group_name_by_registry_name', lambda *_: 'group'
        )
        monkeypatch.setattr('azure.cli.command_modules.acr._client_factory.get_acr_service_client', lambda *_: client)
        return registry_account(SimpleNamespace(cli_ctx=None), 'my', None, RegistryFacts(7, sku))

    return put


def test_real_bytes_limit_and_regions_are_what_the_resource_manager_says(account):
    most = SimpleNamespace(name='MaximumStorageCapacity', current_value=7, limit=400)
    usages = SimpleNamespace(value=[SimpleNamespace(name='Webhooks', current_value=1, limit=2), SIZE, most])
    assert account(usages, ('here', 'there', 'here')) == Account('Premium', 7, 7, 100, 400, 2)


@pytest.mark.parametrize('sku, regions', [('Basic', 1), ('Standard', 1), (None, None)])
def test_only_premium_is_asked_for_its_replications(account, sku, regions):
    assert account(SimpleNamespace(value=[SIZE]), HttpResponseError(), sku).regions == regions


def test_replications_that_cannot_be_had_are_not_known(account):
    assert account(SimpleNamespace(value=[SIZE]), HttpResponseError()) == Account('Premium', 7, 7, 100)


@pytest.mark.parametrize(
    'usages',
    [
        None,
        SimpleNamespace(),
        SimpleNamespace(value=3),
        SimpleNamespace(value=[None]),
        SimpleNamespace(value=[]),
        *(
            SimpleNamespace(value=[SimpleNamespace(name='Size', current_value=value)])
            for value in (None, True, '7', -1, 7.5, 2**63)
        ),
    ],
)
def test_an_answer_that_does_not_say_the_bytes_says_nothing(account, usages):
    found = account(usages)
    assert (found.used_bytes, found.limit_bytes, found.regions) == (None, None, None)
    assert found.why == 'The real usage is not known: the answer about it does not say.'


@pytest.mark.parametrize('limit', [None, 'x', -1])
def test_a_limit_that_is_no_size_is_not_known(account, limit):
    usages = SimpleNamespace(value=[SimpleNamespace(name='Size', current_value=7, limit=limit)])
    assert (account(usages).used_bytes, account(usages).included_bytes) == (7, None)


def forbidden(status):
    return HttpResponseError('Much text', SimpleNamespace(status_code=status, reason='No'))


@pytest.mark.parametrize(
    'error, why',
    [
        (CLIError("Please run 'az login' to setup account."), "Please run 'az login' to setup account"),
        (forbidden(403), 'the resource manager answers 403'),
        (forbidden(200), 'the answer about it cannot be read'),
        (CLIError('a\x1b[31m\nb' + 'c' * 500), 'a [31m b' + 'c' * 192),
    ],
)
def test_what_may_not_be_asked_is_not_known_and_says_why_in_one_line(account, error, why):
    assert account(error) == Account('Premium', 7, why=f'The real usage is not known: {why}.')


@pytest.mark.parametrize('shaped', [lambda rule: rule, lambda rule: SimpleNamespace(properties=rule)])
def test_cache_rules_are_read_as_old_and_new_clients_give_them(answer, monkeypatch, shaped):
    rules = [shaped(SimpleNamespace(target_repository=target)) for target in ('mirror/*', 'library/nginx', None)]
    client = SimpleNamespace(cache_rules=SimpleNamespace(list=lambda *_: rules))
    monkeypatch.setattr('azure.cli.command_modules.acr._client_factory.get_acr_service_client', lambda *_: client)
    facts = answer(SimpleNamespace(sku=SimpleNamespace(name='Basic')))
    assert facts.cache_rules == ('library/nginx', 'mirror/*')

"""Which registries a command is for, as arguments and Azure say."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace

import pytest
from azure.cli.core.azclierror import MutuallyExclusiveArgumentError, RequiredArgumentMissingError
from knack.validators import DefaultStr

from azext_acrprune._registry_validators import validate_registries, validate_several
from azext_acrprune.custom.registries import Chosen, _has_tags, _row
from azext_acrprune.prune_error import PruneError

CMD = SimpleNamespace(
    cli_ctx=SimpleNamespace(cloud=SimpleNamespace(suffixes=SimpleNamespace(acr_login_server_endpoint='.azurecr.io')))
)
RESOURCE = '/subscriptions/1-2/resourceGroups/Mine/providers/Microsoft.ContainerRegistry/registries/MyRegistry'


def given(name=None, **more):
    nothing = {'suffix': None, 'all_registries': False, 'tag': None, 'query_graph': None, 'resource_group_name': None}
    return Namespace(**{**nothing, 'registry_name': name, **more})


def test_azure_is_asked_although_a_registry_is_the_default():
    namespace = given(DefaultStr('myregistry'), all_registries=True, tag=['env=prod'])
    validate_registries(CMD, namespace)
    assert namespace.registry_name is None and namespace.tag == ['env=prod']


def test_a_default_is_the_registry_where_none_is_asked_for():
    namespace = given(DefaultStr('MyRegistry'))
    validate_registries(CMD, namespace)
    assert namespace.registry_name == 'myregistry' and namespace.region is None


@pytest.mark.parametrize(
    'namespace, option',
    [
        (given(['one'], all_registries=True), '--registry'),
        (given(all_registries=True, query_graph='resources'), '--query-graph'),
        (given(query_graph='resources', tag=['env']), '--tag'),
        (given(query_graph='resources', resource_group_name='mine'), '--resource-group'),
        (given(all_registries=True, suffix='abc'), '--suffix'),
        (given(['one', 'two'], username='me'), '--username'),
        (given(all_registries=True, out='plan.json'), '--out'),
        (given(all_registries=True, out='report.html', plan_file='plan.json'), '--plan'),
    ],
)
def test_what_cannot_go_together_is_refused_by_its_name(namespace, option):
    with pytest.raises(MutuallyExclusiveArgumentError, match=option):
        validate_registries(CMD, namespace)


@pytest.mark.parametrize(
    'more', [{'out': 'state:nightly'}, {'out': 'report.html', 'plan_file': None}, {'out': 'a', 'plan_file': 'state:a'}]
)
def test_a_plan_in_the_state_and_one_report_are_for_many(more):
    validate_registries(CMD, given(all_registries=True, **more))


def test_no_registry_at_all_is_an_error_but_for_what_asks_none():
    with pytest.raises(RequiredArgumentMissingError, match='No registry'):
        validate_registries(CMD, given())
    with pytest.raises(RequiredArgumentMissingError, match='--tag'):
        validate_several(CMD, given(tag=['env=prod']))
    validate_several(CMD, given())


def test_a_resource_id_says_name_group_and_subscription():
    assert Chosen.of(RESOURCE, 'MyRegistry-abc.azurecr.io') == Chosen(
        'myregistry', None, None, 'Mine', '1-2', 'myregistry-abc.azurecr.io'
    )


@pytest.mark.parametrize(
    'row, text',
    [
        ({'name': 'myregistry'}, 'without the column id'),
        ('myregistry', 'without the column id'),
        ({'id': RESOURCE.replace('registries', 'other')}, 'no registry'),
        ({'id': f'{RESOURCE}/replications/westeurope'}, 'no registry'),
        ({'id': '/subscriptions/1-2'}, 'no registry'),
    ],
)
def test_a_row_of_a_query_that_is_no_registry_is_an_error(row, text):
    with pytest.raises(PruneError, match=text):
        _row(row)


@pytest.mark.parametrize(
    'wanted, has',
    [
        ([], True),
        (['env=prod'], True),
        (['ENV=prod', 'team'], True),
        (['env=Prod'], False),
        (['env=prod', 'owner'], False),
        (['empty='], True),
        (['team='], False),
    ],
)
def test_a_registry_needs_each_tag_that_is_asked_for(wanted, has):
    assert _has_tags({'Env': 'prod', 'team': 'a=b', 'empty': ''}, wanted) is has

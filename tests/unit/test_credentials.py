"""What the resource manager says of a registry."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
from knack.util import CLIError

from azext_acrprune.registry.credentials import RegistryFacts, registry_facts


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
    facts = answer(SimpleNamespace(sku=SimpleNamespace(name='Premium'),
                                   policies=SimpleNamespace(soft_delete_policy=soft_delete)))
    assert facts == RegistryFacts(soft_delete_days=7, sku='Premium')


@pytest.mark.parametrize('registry', [
    SimpleNamespace(), SimpleNamespace(sku=None), SimpleNamespace(sku=SimpleNamespace(name=3)), CLIError('no')])
def test_nothing_is_known_where_nothing_is_said(answer, registry):
    assert answer(registry) == RegistryFacts()

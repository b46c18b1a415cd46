"""Several registries in one command, in the real az."""

from __future__ import annotations

from .images import telling
from .test_archive import PRUNE

TWO = ('-r', 'localhost', 'nosuchregistry')


def test_one_registry_that_cannot_be_reached_leaves_the_other_one_alone(az, registry, now):
    telling(registry.storage, now)
    assert az.login().code == 0
    run = az(*PRUNE, 'untagged', *TWO, '--yes')
    assert run.code == 1 and 'nosuchregistry' in run.err and 'Traceback' not in run.err
    done, failed = run.json['registries']
    assert done['result']['summary']['manifestsDeleted'] == 3 and done['error'] is None
    assert failed['registry'] == 'nosuchregistry' and failed['result'] is None and failed['error']
    assert run.json['summary']['failed'] == 1 and run.json['summary']['manifestsDeleted'] == 3


def test_what_is_of_one_registry_is_refused_for_several(az):
    for more in (('--out', 'plan.json'), ('--detailed-exit-code',), ('-u', 'a', '-p', 'b'), ('--pins', '-')):
        run = az(*PRUNE, 'plan', *TWO, *more)
        assert run.code == 1 and 'is for one registry' in run.err, run.err
    assert 'is named twice' in az(*PRUNE, 'plan', '-r', 'localhost', 'localhost').err

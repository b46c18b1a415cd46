"""Registries as plain inventories, large or hostile, for reports that people look at."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.planned import Plan
from azext_acrprune.model import Blob, Content, Inventory, Locks, Manifest, Repository
from azext_acrprune.policy.rules import Age, untagged_policy
from tests.worlds import DAY, NOW, OCI_IMAGE, OCI_INDEX, TICKS, time_text

CREATED_AT = time_text(NOW)
_TEAMS = ('payments', 'search', 'web', 'data', 'mobile', 'platform', 'ml', 'identity')
_APPS = ('api', 'worker', 'frontend', 'gateway', 'batch', 'trainer', 'notebook', 'migrations', 'cron')


def sha(*names) -> str:
    return 'sha256:' + hashlib.sha256(repr(names).encode()).hexdigest()


def busy(images: int, per_repository: int = 40, seed: int = 1) -> Inventory:
    """A registry as teams use one: shared base images, rebuilt tags, multi-arch indexes, a few locks."""
    chance = random.Random(seed)
    bases = [
        [Blob(sha('base', number, layer), chance.randrange(1, 400) * 1_000_000) for layer in range(3)]
        for number in range(max(4, images // 300))
    ]
    names = [
        f'team-{_TEAMS[number % 8]}/{_APPS[number // 8 % 9]}{number // 72 or ""}'
        for number in range(max(1, images // per_repository))
    ]
    repositories = [
        Repository(
            name,
            {
                manifest.digest: manifest
                for manifest in _images(
                    name, max(1, int(per_repository * chance.choice((0.2, 0.5, 1, 1, 2)))), chance.choice(bases), chance
                )
            },
        )
        for name in names
    ]
    return inventory_of(repositories)


def inventory_of(repositories: list[Repository], **more) -> Inventory:
    return Inventory('contoso.azurecr.io', tuple(repositories), frozenset(each.name for each in repositories), **more)


def _images(name: str, number: int, base: list[Blob], chance: random.Random) -> Iterator[Manifest]:
    for build in range(number):
        age = chance.choice((0.3, 3, 12, 25, 50, 100, 150, 250, 300, 500)) * chance.uniform(0.9, 1.1)
        own = [Blob(sha(name, build, layer), chance.randrange(1, 90) * 1_000_003) for layer in range(2)]
        tags = (f'1.{build // 10}.{build % 10}',) if chance.random() < 0.4 else ()
        locks = Locks(delete_enabled=chance.random() > 0.04)
        parts = [
            manifest_of((name, build, platform), [*base, *own[: 1 + place]], age, platform=platform)
            for place, platform in enumerate(('linux/amd64', 'linux/arm64') if build % 3 == 0 else ())
        ]
        yield from parts
        children = tuple(part.digest for part in parts)
        yield manifest_of(
            (name, build),
            () if parts else (*base, *own),
            age,
            tags=tags,
            locks=locks,
            children=children,
            media_type=OCI_INDEX if parts else OCI_IMAGE,
        )


def manifest_of(
    key: tuple, blobs: Sequence[Blob], age: float, children: tuple = (), media_type: str = OCI_IMAGE, **more
) -> Manifest:
    """A manifest that was pushed so many days ago; `key` makes its digest."""
    at = NOW - int(age * DAY) * TICKS
    return Manifest(
        sha(*key),
        Content(1_500, children=children, blobs=tuple(blobs)),
        media_type=media_type,
        created_time=time_text(at),
        last_update_time=time_text(at),
        created_at=at,
        updated_at=at,
        **more,
    )


def plan_of(inventory: Inventory, days: int = 30, show_kept: bool = True) -> Plan:
    """The plan that deletes what has been untagged for some days."""
    policy = untagged_policy(Age(f'{days}d', days * DAY))
    return Plan(plan_document(decide(inventory, policy, NOW), CREATED_AT, show_kept))


HOSTILE = (
    "\"><script>document.title='owned'</script><img src=x onerror=alert(1)>&amp;</title></style>]]>--> \u202egnp.exe"
    '\n\u2028\ud800\x00 {{7*7}} {% raw %} \u05d0\u05d1 ' + 'long' * 3_000
)


def hostile() -> Inventory:
    """Every text that a registry controls is an attack."""
    first = manifest_of(('first',), [Blob(HOSTILE, 5_000_000)], 40)
    second = manifest_of(('second',), [Blob(sha('x'), 9_000_000)], 40)
    image, other = (
        each._replace(
            tags=(HOSTILE, 'v1'),
            media_type=HOSTILE,
            artifact_type=HOSTILE,
            platform=HOSTILE,
            created_time=HOSTILE,
            last_update_time=HOSTILE,
        )
        for each in (first, second)
    )
    bare = image._replace(tags=(), digest=f'sha256:{HOSTILE}')
    return inventory_of(
        [
            Repository(HOSTILE, {each.digest: each for each in (image, other, bare)}),
            Repository(f'{HOSTILE}2', {image.digest: image}),
        ]
    )

"""Random registries as plain data (see tests.oracle), and the same as an inventory or in the local registry.

Every manifest is real: canonical JSON whose sha256 is its digest, so that an index can only name children that were
made before it. Cycles come from attachment tags alone, as they would in a real registry.
"""

import base64
import copy
import hashlib
import json
from datetime import datetime, timedelta, timezone

from hypothesis import strategies as st

from azext_acrprune.decide.manifests import read_manifest
from azext_acrprune.decide.measures import to_measure, with_measures
from azext_acrprune.decide.replicas import merged_locks, merged_manifests, merged_tags
from azext_acrprune.decide.wholeness import Counted, unlisted, unseen, with_all_tags
from azext_acrprune.model import Ghost, Inventory, Locks, Manifest, NotRead, Repository, Tag, Unreadable
from tests import oracle
from tests.registry.failures import RegistryFailure
from tests.registry.storage import Storage

TICKS = 10_000_000
DAY = 86_400
NOW = 1_800_000_000 * TICKS

OCI_IMAGE = 'application/vnd.oci.image.manifest.v1+json'
OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
OCI_ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
DOCKER_IMAGE = 'application/vnd.docker.distribution.manifest.v2+json'
DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
FOREIGN_LAYER = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'
CONFIG = 'application/vnd.oci.image.config.v1+json'


def sha256(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


BLOBS = {}
"""The bytes of every blob of the worlds, by digest."""


def descriptor(text, media_type, size, **more):
    data = (text.encode() * (size // len(text) + 1))[:size]
    BLOBS[sha256(data)] = data
    return {'mediaType': media_type, 'digest': sha256(data), 'size': size, **more}


# Powers of two, so that any two sets of blobs have different sums.
BASE_LAYERS = [descriptor(f'layer {number}', LAYER, 100_000 << number) for number in range(6)]
CONFIGS = [descriptor(f'config {number}', CONFIG, 1_000 << number) for number in range(4)]
FOREIGN_LAYERS = [
    descriptor('foreign', FOREIGN_LAYER, 7_000_000, urls=['https://example.com/layer']),
    dict(BASE_LAYERS[0], urls=['https://example.com/layer']),
]
LAYERS = BASE_LAYERS + FOREIGN_LAYERS
MISSING = [sha256(f'missing {number}'.encode()) for number in range(2)]


# --- Manifests as plain data -------------------------------------------------------------------------------------


def manifest_of(document, media_type, tags=(), age=30 * DAY, locks=(), state='read', fault=None, quarantine=None):
    """One manifest of a world; `age` in seconds before NOW, None for no time at all."""
    data = json.dumps(document, sort_keys=True, separators=(',', ':')).encode()
    return {
        'digest': sha256(data),
        'state': state,
        'document': document,
        'data': data,
        'fault': fault,
        'media_type': media_type,
        'tags': list(tags),
        'locks': list(locks),
        'updated': None if age is None else NOW - int(age * TICKS),
        'quarantine': quarantine,
    }


def image(name='image', layers=(), subject=None, docker=False, **more):
    """An image manifest with its own config; `layers` are numbers of LAYERS."""
    media_type = DOCKER_IMAGE if docker else OCI_IMAGE
    document = {
        'schemaVersion': 2,
        'mediaType': media_type,
        'config': CONFIGS[sum(layers) % len(CONFIGS)],
        'layers': [LAYERS[number] for number in layers],
        'annotations': {'name': name},
    }
    return manifest_of(_refer(document, subject), media_type, **more)


def index(name='index', children=(), subject=None, docker=False, **more):
    """An index over digests."""
    media_type = DOCKER_LIST if docker else OCI_INDEX
    entries = [{'mediaType': OCI_IMAGE, 'digest': child, 'size': 1} for child in children]
    document = {'schemaVersion': 2, 'mediaType': media_type, 'manifests': entries, 'annotations': {'name': name}}
    return manifest_of(_refer(document, subject), media_type, **more)


def cache(name='cache', blobs=(), children=(), **more):
    """An index that holds blobs, as BuildKit's registry cache before 0.21 is one, and perhaps children."""
    entries = [LAYERS[number] for number in blobs] + [
        {'mediaType': OCI_IMAGE, 'digest': child, 'size': 1} for child in children
    ]
    document = {'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': entries, 'annotations': {'name': name}}
    return manifest_of(document, OCI_INDEX, **more)


def bringing(name='bringing', children=(), **more):
    """An index that names one nested index, whose bytes it brings along."""
    inside = index(f'inside {name}', children)
    data = base64.b64encode(inside['data']).decode()
    entry = {'mediaType': OCI_INDEX, 'digest': inside['digest'], 'size': len(inside['data']), 'data': data}
    document = {'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [entry], 'annotations': {'name': name}}
    return manifest_of(document, OCI_INDEX, **more)


def artifact(name='artifact', blobs=(), subject=None, **more):
    """An artifact manifest, which keeps its files in `blobs` and has no config."""
    document = {
        'mediaType': OCI_ARTIFACT,
        'artifactType': 'application/x-test',
        'blobs': [LAYERS[number] for number in blobs],
        'annotations': {'name': name},
    }
    return manifest_of(_refer(document, subject), OCI_ARTIFACT, **more)


def _refer(document, subject):
    if subject:
        document['subject'] = {'mediaType': OCI_IMAGE, 'digest': subject, 'size': 1}
    return document


def ghost(manifest):
    """The same manifest, listed and not there."""
    return dict(manifest, state='ghost')


FAULTS = ('forbidden', 'wrong bytes', 'not JSON', 'not an object', 'children not a list')


def unreadable(manifest, fault='forbidden'):
    """The same manifest, its content not to be had; `forbidden` ones are whole and only refuse to be read."""
    data = {
        'forbidden': manifest['data'],
        'wrong bytes': manifest['data'] + b' ',
        'not JSON': manifest['data'][:-1],
        'not an object': b'[' + manifest['data'] + b']',
        'children not a list': b'{"manifests":{"digest":' + manifest['data'] + b'}}',
    }[fault]
    digest = manifest['digest'] if fault in ('forbidden', 'wrong bytes') else sha256(data)
    return dict(manifest, state='unreadable', fault=fault, data=data, digest=digest)


def repository_of(*manifests, name='team/web', selected=True, locks=(), tag_locks=None, tag_times=None):
    """One repository of a world."""
    return {
        'name': name,
        'selected': selected,
        'locks': list(locks),
        'tag_locks': dict(tag_locks or {}),
        'tag_times': dict(tag_times or {}),
        'manifests': list(manifests),
    }


def attachment_tag(digest, suffix='.sig'):
    return digest.replace(':', '-') + suffix


# --- Strategies --------------------------------------------------------------------------------------------------


def _often(usual, times, *rare):
    return st.sampled_from((usual,) * times + rare)


_PICKS = st.lists(st.integers(0, 8), max_size=4)
_TIMES = _often(
    NOW - 30 * DAY * TICKS,
    40,
    NOW - 29 * DAY * TICKS,
    NOW - 40 * DAY * TICKS,
    NOW - DAY * TICKS,
    NOW - DAY * TICKS + 1,
    NOW - 3_600 * TICKS,
    NOW,
    NOW + 1,
    NOW + DAY * TICKS,
    None,
)
_TAGS = _often(
    (), 18, ('user',), ('user', 'user'), ('.sig',), ('.sig',), ('.att',), ('',), ('.sig', '.att'), ('user', '.sbom')
)
_LOCKS = _often((), 30, ('deleteEnabled',), ('writeEnabled',))
_SKETCHES = st.tuples(
    st.sampled_from(('image', 'image', 'docker', 'index', 'index', 'artifact', 'list', 'copy', 'cache', 'bringing')),
    _PICKS,
    _often(None, 5, 0, 1, 2, 8),
    _TIMES,
    _TAGS,
    st.integers(0, 9),
    _LOCKS,
    _often('read', 110, *('ghost',) * 8, *FAULTS),
    _often(None, 30, 'Failed'),
)
_REPOSITORY = st.tuples(
    st.lists(_SKETCHES, min_size=1, max_size=10),
    _often(True, 7, False),
    _often((), 20, ('deleteEnabled',), ('writeEnabled',)),
    _often(None, 7, (0, 'deleteEnabled'), (1, 'writeEnabled')),
)

policies = st.fixed_dictionaries(
    {'ago': st.sampled_from((DAY, DAY, DAY, 0, 0, 3_600, 3_600, 35 * DAY, 10**18)), 'keep': _often(0, 3, 1, 2)}
)

includes = st.sets(st.sampled_from(('ghosts', 'orphans', 'partial'))).map(sorted)
including_policies = st.builds(lambda policy, include: {**policy, 'include': include}, policies, includes)


@st.composite
def worlds(draw, repositories=3):
    """Registries of some repositories that share layers, and sometimes whole manifests."""
    world = []
    for number, sketch in enumerate(draw(st.lists(_REPOSITORY, min_size=1, max_size=repositories))):
        elsewhere = [manifest for repository in world for manifest in repository['manifests']]
        world.append(_repository(f'team/app{number}', sketch, elsewhere))
    return world


TAG_NAMES = (
    'latest',
    'stable',
    'main-1',
    'main-2',
    'main-12',
    'dev-3',
    'dev-10',
    'pr-7',
    'pr-8',
    'pr-70',
    'v1.2.3',
    'v1.2.10',
    '1.2.3',
    'v1.3.0',
    'v2.0.0-rc.1',
    'v2.0.0-rc.10',
    'v2.0.0-rc',
    '1.0.0-rc.1',
    '1.0.0',
    'v1.2',
    '1.0.0_g5abc',
    '1.3.0.7',
)
_TAG_TIMES = st.one_of(_TIMES, st.integers(1, 40).map(lambda days: NOW - days * DAY * TICKS))
_USER_TAG = st.tuples(st.integers(0, 9), _TAG_TIMES, _TAG_TIMES, _often((), 12, ('deleteEnabled',), ('writeEnabled',)))

_USER_TAGS = st.dictionaries(st.sampled_from(TAG_NAMES), _USER_TAG, max_size=12)


@st.composite
def tagged_worlds(draw, repositories=3):
    """Registries whose user tags have names as people give them, and times and locks of their own."""
    world = draw(worlds(repositories))
    for repository in world:
        repository['tag_created'] = {}
        for manifest in repository['manifests']:
            manifest['created'] = draw(_TIMES)
            manifest['tags'] = [tag for tag in manifest['tags'] if oracle.attached_to(tag, manifest)]
        _give_user_tags(repository, draw(_USER_TAGS))
    return world


def _give_user_tags(repository, wanted):
    for tag, (number, updated, created, locks) in sorted(wanted.items()):
        manifests = repository['manifests']
        manifests[number % len(manifests)]['tags'].append(tag)
        repository['tag_times'][tag] = updated
        repository['tag_created'][tag] = created
        repository['tag_locks'][tag] = list(locks)


def _repository(name, sketch, elsewhere):
    sketches, selected, locks, tag_lock = sketch
    made = {}
    for number, (kind, picks, subject, updated, _, _, manifest_locks, state, quarantine) in enumerate(sketches):
        manifest = _manifest(kind, f'{number}d', picks, subject, list(made), elsewhere)
        manifest.update(updated=updated, locks=list(manifest_locks), tags=[], quarantine=quarantine)
        manifest = ghost(manifest) if state == 'ghost' else manifest
        manifest = unreadable(manifest, state) if state in FAULTS and not manifest['fault'] else manifest
        made.setdefault(manifest['digest'], manifest)
    _give_tags(list(made.values()), sketches, [manifest['digest'] for manifest in elsewhere[:2]])
    return repository_of(
        *made.values(), name=name, selected=selected, locks=locks, tag_locks=_tag_locks(made.values(), tag_lock)
    )


def _manifest(kind, name, picks, subject, made, elsewhere):
    subject = None if subject is None else _pick(made, subject)
    if kind == 'copy' and elsewhere:
        copied = elsewhere[sum(picks) % len(elsewhere)]
        return dict(copied, state='unreadable' if copied['fault'] else 'read')
    if kind == 'bringing':
        return bringing(name, [_pick(made, pick) for pick in picks])
    if kind == 'cache':
        return cache(name, [pick % len(LAYERS) for pick in picks], [_pick(made, pick) for pick in picks[:1]])
    if kind in ('index', 'list'):
        docker = kind == 'list'
        return index(name, [_pick(made, pick) for pick in picks], None if docker else subject, docker=docker)
    layers = [pick % len(LAYERS) for pick in picks]
    if kind == 'artifact':
        return artifact(name, layers, subject)
    docker = kind == 'docker'
    return image(name, layers, None if docker else subject, docker=docker)


def _pick(made, number):
    """A digest made before, or one that is nowhere."""
    return made[-1 - number % len(made)] if made and number < 8 else MISSING[number % len(MISSING)]


def _give_tags(manifests, sketches, elsewhere):
    """Attachment tags are of what is there, in another repository, or nowhere."""
    used = set()
    for number, manifest in enumerate(manifests):
        wanted, target = sketches[number][4:6]
        digests = [other['digest'] for other in manifests] + MISSING[:1] + elsewhere
        for position, suffix in enumerate(wanted):
            tag = (
                f'v{number}.{position}'
                if suffix == 'user'
                else attachment_tag(digests[(target + position) % len(digests)], suffix)
            )
            if tag not in used:
                manifest['tags'].append(tag)
                used.add(tag)


def _tag_locks(manifests, tag_lock):
    tags = [tag for manifest in manifests for tag in manifest['tags']]
    if not tag_lock or not tags:
        return {}
    position, flag = tag_lock
    return {tags[position % len(tags)]: [flag]}


@st.composite
def half_hidden_worlds(draw, repositories=2):
    """Registries in which some manifests and tags are in no list."""
    world = draw(worlds(repositories))
    for repository in world:
        for number, manifest in enumerate(repository['manifests']):
            manifest['hidden'] = draw(_often(False, 3, True))
            manifest['tags'] += [attachment_tag(MISSING[0], f'.x{number}')] * draw(_often(0, 2, 1))
        repository['hidden_tags'] = [
            tag for manifest in repository['manifests'] for tag in manifest['tags'] if draw(_often(False, 4, True))
        ]
    return world


def with_traces(world):
    """The world for a registry that does not count what is hidden: there all that is hidden has a tag that is listed.

    What is in no list, has no tag in one, is named by nothing and not counted, nobody can know of. The tags of what is
    in quarantine are in no list: here what is in quarantine has none.
    """
    return [
        dict(
            repository,
            hidden_tags=[],
            manifests=[
                dict(
                    manifest,
                    hidden=manifest['hidden'] and bool(manifest['tags']),
                    quarantine=None if manifest['tags'] else manifest['quarantine'],
                )
                for manifest in repository['manifests']
            ],
        )
        for repository in world
    ]


_CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 9), st.integers(0, 9)), max_size=3)


@st.composite
def lagging_regions(draw, repositories=2):
    """A registry as two regions have it: each has seen changes of its own, and none of the other."""
    world = draw(worlds(repositories))
    return tuple([_changed(repository, draw(_CHANGES)) for repository in world] for _ in range(2))


def _changed(repository, changes):
    """A repository after changes; what is pushed is not young, so that no age protects it."""
    names = sorted(MUTATIONS)
    planned = {manifest['digest'] for manifest in repository['manifests']}
    fresh = mutated(repository, planned, [(names[number % len(names)], *others) for number, *others in changes])
    for manifest in fresh['manifests']:
        if manifest['updated'] == NOW:
            manifest['updated'] = NOW - 3 * DAY * TICKS
    return fresh


# --- Mutations ---------------------------------------------------------------------------------------------------


def mutated(repository, planned, mutations):
    """The repository after others went on working in it; `mutations` are (name, number, number)."""
    fresh = copy.deepcopy(repository)
    for position, (name, one, other) in enumerate(mutations):
        digests = [manifest['digest'] for manifest in fresh['manifests']]
        targets = [digest for digest in digests if digest in planned] or digests
        if targets:
            target = next(
                manifest for manifest in fresh['manifests'] if manifest['digest'] == targets[one % len(targets)]
            )
            MUTATIONS[name](fresh, target, other, f'new {position}')
    return fresh


def _add_tag(_, target, __, name):
    target['tags'].append(name.replace(' ', '-'))


def _move_tag(fresh, target, number, _):
    tagged = [manifest for manifest in fresh['manifests'] if manifest['tags']]
    if tagged:
        target['tags'].append(tagged[number % len(tagged)]['tags'].pop())


def _lock(_, target, number, __):
    target['locks'] = [('deleteEnabled', 'writeEnabled')[number % 2]]


def _lock_tag(fresh, target, number, _):
    for tag in target['tags']:
        fresh['tag_locks'][tag] = [('deleteEnabled', 'writeEnabled')[number % 2]]


def _lock_repository(fresh, *_):
    fresh['locks'] = ['writeEnabled']


def _push(fresh, manifest):
    fresh['manifests'].append(dict(manifest, updated=NOW))


def _push_unreadable(fresh, number, name):
    _push(fresh, unreadable(image(name, docker=number % 2 == 0), FAULTS[number % len(FAULTS)]))


def _push_attachment(fresh, target, number, name):
    tag = attachment_tag(target['digest'], ('', '.new')[number % 2])
    if not any(tag in manifest['tags'] for manifest in fresh['manifests']):
        _push(fresh, image(name, tags=[tag]) if number % 2 else index(name, tags=[tag]))


def _push_ghosts_again(fresh, *_):
    for manifest in fresh['manifests']:
        if manifest['state'] == 'ghost' and not manifest['fault']:
            manifest.update(state='read', updated=NOW)


def _bring_ghosts_back(fresh, *_):
    """They were only not to be had for a moment, as where a registry has replicas."""
    for manifest in fresh['manifests']:
        if manifest['state'] == 'ghost' and not manifest['fault']:
            manifest.update(state='read')


def _remove(fresh, number):
    del fresh['manifests'][number % len(fresh['manifests'])]


MUTATIONS = {
    'tag added': _add_tag,
    'tag moved': _move_tag,
    'locked': _lock,
    'tag locked': _lock_tag,
    'repository locked': _lock_repository,
    'updated': lambda _, target, number, __: target.update(updated=NOW),
    'gone': lambda fresh, _, number, __: _remove(fresh, number),
    'new index': lambda fresh, target, _, name: _push(fresh, index(name, [target['digest']])),
    'new referrer': lambda fresh, target, number, name: _push(
        fresh, (image, index, artifact)[number % 3](name, subject=target['digest'])
    ),
    'new attachment': _push_attachment,
    'new unreadable': lambda fresh, _, number, name: _push_unreadable(fresh, number, name),
    'ghosts pushed again': _push_ghosts_again,
    'ghosts are back': _bring_ghosts_back,
    'new ghost': lambda fresh, target, _, name: _push(fresh, ghost(index(name, [target['digest']]))),
}


# --- As an inventory ---------------------------------------------------------------------------------------------


def to_inventory(world, bound=False):
    """The inventory that a scan of this world gives; with `bound` one that read only what safety needs."""
    repositories = [repository for repository in world if repository['selected'] or not bound]
    inventory = Inventory(
        registry='test.azurecr.io',
        repositories=tuple(to_repository(repository, bound) for repository in repositories),
        selected=frozenset(repository['name'] for repository in world if repository['selected']),
        complete=not bound,
    )
    stored = oracle.blob_table(world)
    return with_measures(inventory, {digest: stored.get(digest, 0) for digest in to_measure(inventory)})


def to_repository(repository, bound=False):
    return Repository(
        name=repository['name'],
        manifests={manifest['digest']: _to_manifest(manifest, bound) for manifest in repository['manifests']},
        locks=to_locks(repository['locks']),
        tags={
            tag: _to_tag(repository, manifest, tag) for manifest in repository['manifests'] for tag in manifest['tags']
        },
    )


def to_shown(repository, most_tags=10, counted=True):
    """The repository as a scan finds it where lists leave things out: it looks up what is named and was not listed."""
    whole = to_repository(repository)
    hidden = {manifest['digest'] for manifest in repository['manifests'] if manifest.get('hidden')}
    tags = {name: tag for name, tag in whole.tags.items() if name not in repository.get('hidden_tags', ())}
    cut = {
        digest: manifest._replace(tags=tuple(tag for tag in manifest.tags if tag in tags)[:most_tags])
        for digest, manifest in whole.manifests.items()
    }
    listed = with_all_tags({digest: cut[digest] for digest in cut if digest not in hidden}, tags.values())
    found = set()
    while more := unlisted(listed, tags.values()).intersection(whole.manifests).difference(found):
        found |= more
        listed = with_all_tags({**listed, **{digest: cut[digest] for digest in more}}, tags.values())
    counts = (len(whole.manifests), len(whole.tags)) if counted else (len(listed) - len(found), len(tags))
    missing = unseen(listed, Counted(*counts, tags, frozenset(found)))
    return Repository(whole.name, listed, whole.locks, tags, missing, frozenset(found))


def to_merged(views):
    """One repository as several regions show it."""
    each = [to_repository(view) for view in views]
    return Repository(
        each[0].name,
        merged_manifests([view.manifests for view in each]),
        merged_locks(view.locks for view in each),
        merged_tags([view.tags for view in each]),
    )


def _to_tag(repository, manifest, tag):
    updated = repository['tag_times'].get(tag, manifest['updated'])
    created = repository.get('tag_created', {}).get(tag, manifest['updated'])
    return Tag(
        tag,
        manifest['digest'],
        last_update_time=time_text(updated),
        created_at=created,
        updated_at=updated,
        locks=to_locks(repository['tag_locks'].get(tag, [])),
    )


def to_locks(flags):
    return Locks(delete_enabled='deleteEnabled' not in flags, write_enabled='writeEnabled' not in flags)


def _to_manifest(manifest, bound):
    return Manifest(
        digest=manifest['digest'],
        content=_content(manifest, bound),
        tags=tuple(sorted(manifest['tags'])),
        media_type=manifest['media_type'],
        created_time=time_text(manifest.get('created', manifest['updated'])),
        last_update_time=time_text(manifest['updated']),
        created_at=manifest.get('created', manifest['updated']),
        updated_at=manifest['updated'],
        image_size=len(manifest['data']),
        platform=manifest.get('platform'),
        locks=to_locks(manifest['locks']),
        quarantine=manifest['quarantine'],
    )


def _content(manifest, bound):
    if manifest['state'] == 'ghost':
        return Ghost()
    if bound and manifest['media_type'] in oracle.DOCKER_IMAGES and oracle.has_user_tag(manifest):
        return NotRead()
    if manifest['fault'] == 'forbidden' and manifest['state'] == 'unreadable':
        return Unreadable('403')
    return read_manifest(manifest['digest'], manifest['data'])


def time_text(ticks):
    if ticks is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=ticks // TICKS)
    return f'{moment:%Y-%m-%dT%H:%M:%S}.{ticks % TICKS:07d}Z'


# --- In the local registry ---------------------------------------------------------------------------------------


def to_storage(world, with_bytes=False, storage=None):
    """The local registry holding this world; what an inventory cannot read is whole there where it can be.

    `with_bytes` its blobs can be pulled too. It goes into an empty `storage` where one is given.
    """
    storage = storage or Storage()
    for digest, size in oracle.blob_table(_all_read(world)).items():
        if with_bytes:
            storage.put_blob(BLOBS[digest])
        else:
            storage.put_virtual_blob(digest, size)
    for repository in world:
        for manifest in repository['manifests']:
            _store(storage, repository['name'], manifest)
        _store_locks(storage, repository)
    _lose_ghosts(storage, world)
    return storage


def _lose_ghosts(storage, world):
    """After all was pushed, so that what a ghost had and another manifest has too is still there."""
    for repository in world:
        for manifest in repository['manifests']:
            if manifest['state'] == 'ghost':
                storage.make_ghost(repository['name'], manifest['digest'], deletable=True)


def _all_read(world):
    """The world as the registry itself knows it."""
    return [
        dict(repository, manifests=[dict(manifest, state='read') for manifest in repository['manifests']])
        for repository in world
    ]


def _store(storage, name, manifest):
    when = time_text(manifest['updated']) or 'no time'
    for tag in manifest['tags'] or [None]:
        storage.put_manifest(
            name,
            manifest['data'],
            manifest['media_type'],
            tag=tag,
            checked=False,
            digest=manifest['digest'],
            created=when,
            updated=when,
        )
    if manifest['quarantine']:
        storage.quarantine(name, manifest['digest'], manifest['quarantine'])
    if manifest.get('hidden'):
        storage.hide(name, digest=manifest['digest'])


def _store_locks(storage, repository):
    name = repository['name']
    for tag in set(repository.get('hidden_tags', ())) & set(storage.tags(name)):
        storage.hide(name, tag=tag)
    if repository['locks']:
        storage.set_locks(name, **_flags(repository['locks']))
    for tag in sorted(set(repository['tag_locks']) & set(storage.tags(name))):
        flags = repository['tag_locks'][tag]
        storage.set_locks(name, tag=tag, **_flags(flags))
    for manifest in repository['manifests']:
        if manifest['locks']:
            storage.set_locks(name, digest=manifest['digest'], **_flags(manifest['locks']))


def _flags(locks):
    return dict.fromkeys(locks, False)


def delete(storage, name, digest):
    """Delete one manifest; not there means that the service's cascade was faster, which counts as done (Drift)."""
    try:
        storage.delete_manifest(name, digest)
    except RegistryFailure as failure:
        if failure.status != 404:
            raise

"""What may go from a registry, worked out the slow and obvious way from semantics.md.

It shares no code with the package on purpose: the property tests compare the two. A world is plain data:

    world      = [repository, ...]
    repository = {'name', 'selected': bool, 'locks': [flag], 'tag_locks': {tag: [flag]}, 'manifests': [manifest]}
    manifest   = {'digest', 'state', 'document', 'data', 'media_type', 'tags': [tag], 'updated', 'locks': [flag]}

A manifest may have a 'quarantine' too, a state that is not `Passed`, and may be 'hidden' from lists. A world has the
whole truth: what lists, tag lists and replicas do not show is in it all the same.

`locks` names the flags that are false. `state` is 'read', 'ghost' or 'unreadable'; only of a 'read' manifest is the
`document` known. `updated` is in ticks of 100 ns, or None. A policy is {'ago': seconds, 'keep': number, 'include':
[what is asked for by name]}, where 'include' may be left out. Sets of manifests are sets of (repository name, digest).
"""

import base64
import json
import re

TICKS = 10_000_000
DOCKER_IMAGES = (
    'application/vnd.docker.distribution.manifest.v2+json',
    'application/vnd.docker.distribution.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
)
INDEXES = ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json')
MANIFESTS = (
    *DOCKER_IMAGES,
    *INDEXES,
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.oci.artifact.manifest.v1+json',
)
ATTACHMENT = re.compile(r'sha256-([0-9a-f]{64})(\.[\w.-]+)?')


# --- The graph ---------------------------------------------------------------------------------------------------


def exists(manifest):
    """A ghost can serve nobody and protects nothing: it is no node (Fail closed)."""
    return manifest['state'] != 'ghost'


def document(manifest):
    """What a manifest is known to say."""
    return manifest['document'] if manifest['state'] == 'read' else {}


def children(manifest):
    """index -> child, from `manifests[].digest`; a descriptor of no manifest is a blob (The graph).

    What a child needs whose bytes are in the index, the index needs.
    """
    named = [child for child in document(manifest).get('manifests', []) if child['mediaType'] in MANIFESTS]
    inside = [json.loads(base64.b64decode(child['data'])) for child in named if 'data' in child]
    return [child['digest'] for child in named] + [child['digest'] for each in inside for child in each['manifests']]


def inlined(manifest):
    """The children whose bytes are in the index: they are never missing (The graph)."""
    return [child['digest'] for child in document(manifest).get('manifests', []) if 'data' in child]


def oci_subjects(manifest):
    """subject -> referrer, from `subject.digest` (The graph)."""
    return [document(manifest)['subject']['digest']] if 'subject' in document(manifest) else []


def attached_to(tag, manifest):
    """The digest that a tag attaches a manifest to, None for a user tag (The graph, attachment by tag).

    A manifest is no attachment of itself, and a digest with nothing after it attaches an index alone.
    """
    match = ATTACHMENT.fullmatch(tag)
    if not match or 'sha256:' + match.group(1) == manifest['digest']:
        return None
    is_index = manifest['media_type'] in INDEXES and 'config' not in document(manifest)
    return 'sha256:' + match.group(1) if match.group(2) or is_index else None


def subjects(manifest):
    """Whatever a manifest refers to: its OCI subject, and the digests in its attachment tags."""
    attached = [attached_to(tag, manifest) for tag in manifest['tags']]
    return oci_subjects(manifest) + [digest for digest in attached if digest]


def has_user_tag(manifest):
    return any(attached_to(tag, manifest) is None for tag in manifest['tags'])


def needs(one, other):
    """Whether `other` must stay because `one` stays (Kept, and why): a child, a referrer, the subject it has.

    A ghost needs nothing. It is needed by what names it, and by what its tags attach it to: with a subject the service
    deletes its referrers.
    """
    if not exists(one):
        return False
    if not exists(other):
        return other['digest'] in children(one) or other['digest'] in subjects(one) or one['digest'] in subjects(other)
    return other['digest'] in children(one) or one['digest'] in subjects(other) or other['digest'] in subjects(one)


def closure(repository, start):
    """`start` and all that it needs: look at every pair until nothing new comes."""
    stay = set(start)
    grew = True
    while grew:
        grew = False
        for one in repository['manifests']:
            for other in repository['manifests']:
                if one['digest'] in stay and other['digest'] not in stay and needs(one, other):
                    stay.add(other['digest'])
                    grew = True
    return stay


# --- Kept, and why -----------------------------------------------------------------------------------------------


def is_locked(repository, manifest):
    """`deleteEnabled` or `writeEnabled` false on the manifest, on one of its tags or on the repository."""
    on_tags = [flag for tag in manifest['tags'] for flag in repository['tag_locks'].get(tag, [])]
    return bool(manifest['locks'] or on_tags or repository['locks'])


def is_young(manifest, policy, now):
    """Younger than `--ago`, without a time, or dated in the future (Pushes in flight)."""
    updated = manifest['updated']
    return updated is None or updated > now or now - updated < policy['ago'] * TICKS


def settled(world, age, include, now):
    """The world with the ghosts unreadable that may only not be there for the moment (Fail closed).

    They are younger than `age` in seconds and than a day, or have a tag and were not asked for by name.
    """

    def is_doubtful(manifest):
        times = [time for time in (manifest['updated'], manifest.get('created')) if time is not None]
        young = not times or now - max(times) < max(age, 86_400) * TICKS
        return manifest['state'] == 'ghost' and (young or bool(manifest['tags']) and 'ghosts' not in include)

    return [
        dict(
            repository,
            manifests=[
                dict(manifest, state='unreadable', missing=True) if is_doubtful(manifest) else manifest
                for manifest in repository['manifests']
            ],
        )
        for repository in world
    ]


def newest_images(repository, keep, include=()):
    """The `keep` newest of the images: no tag, no part of an index, no referrer, no ghost (Keeping the newest).

    Nor an index that lacks a child, where those are to go.
    """
    parts = [digest for manifest in repository['manifests'] if exists(manifest) for digest in children(manifest)]
    images = [
        manifest
        for manifest in repository['manifests']
        if manifest['state'] == 'read'
        and not manifest['tags']
        and manifest['digest'] not in parts
        and not oci_subjects(manifest)
        and not ('partial' in include and is_partial(repository, manifest))
    ]
    images.sort(key=lambda manifest: manifest['digest'])
    images.sort(key=age_rank, reverse=True)
    return [manifest['digest'] for manifest in images[:keep]]


def age_rank(manifest):
    """Without a time it counts as the oldest: it stays anyway, being young, and takes the place of no other."""
    return manifest['updated'] or 0


def is_partial(repository, manifest):
    """An index that names a child which does not exist."""
    there = [other['digest'] for other in repository['manifests'] if exists(other)]
    return any(child not in there and child not in inlined(manifest) for child in children(manifest))


def is_orphan(repository, manifest):
    """An attachment whose subject does not exist: deleted only when asked (The graph)."""
    there = [other['digest'] for other in repository['manifests'] if exists(other)]
    return (
        bool(manifest['tags'])
        and not has_user_tag(manifest)
        and not any(subject in there for subject in subjects(manifest))
    )


def is_nowhere_an_attachment(world, manifest):
    """Whether no repository has anything that its tags attach to: cosign may keep signatures in another one."""
    there = [other['digest'] for repository in world for other in repository['manifests'] if exists(other)]
    return not any(attached_to(tag, manifest) in there for tag in manifest['tags'])


def is_asked_for(world, repository, manifest, policy):
    """Ghosts and orphans are deleted only when asked (Fail closed; The graph)."""
    include = policy.get('include', ())
    if not exists(manifest):
        return 'ghosts' in include
    return not is_orphan(repository, manifest) or 'orphans' in include and is_nowhere_an_attachment(world, manifest)


def is_opaque(manifest):
    """Unreadable, and of a type that may have children or a subject (Fail closed)."""
    return manifest['state'] == 'unreadable' and manifest['media_type'] not in DOCKER_IMAGES


def root_reason(world, repository, manifest, policy, now):
    """The first rule that keeps a manifest by itself, None if there is none (Kept, and why)."""
    rules = {
        'tagged': has_user_tag(manifest),
        'locked': is_locked(repository, manifest),
        'young': is_young(manifest, policy, now),
        'keepNewest': manifest['digest'] in newest_images(repository, policy['keep'], policy.get('include', ())),
        'excluded': not repository['selected']
        or bool(manifest.get('hidden'))
        or not is_asked_for(world, repository, manifest, policy),
        'unreadable': manifest['state'] == 'unreadable' or any(map(is_opaque, repository['manifests'])),
        'quarantined': bool(manifest.get('quarantine')),
    }
    return next((reason for reason, holds in rules.items() if holds), None)


def root_reasons(world, policy, now):
    """{(repository, digest): reason} of every root."""
    world = settled(world, policy['ago'], policy.get('include', ()), now)
    return {
        (repository['name'], manifest['digest']): reason
        for repository in world
        for manifest in repository['manifests']
        for reason in [root_reason(world, repository, manifest, policy, now)]
        if reason
    }


def safe_set(world, policy, now):
    """Everything that no root needs, directly or through others: it may go."""
    roots = root_reasons(world, policy, now)
    world = settled(world, policy['ago'], policy.get('include', ()), now)
    return {
        (repository['name'], manifest['digest'])
        for repository in world
        for stay in [closure(repository, [digest for name, digest in roots if name == repository['name']])]
        for manifest in repository['manifests']
        if manifest['digest'] not in stay
    }


# --- Replicas ----------------------------------------------------------------------------------------------------


def union(regions):
    """What the regions of a registry hold together (Replicas): nothing may be deleted that any of them needs."""
    return [
        dict(same[0], locks=[lock for each in same for lock in each['locks']], manifests=_together(same))
        for same in zip(*regions)
    ]


def _together(same):
    """Each manifest once, with its tags and locks in every region; what some region can serve is no ghost."""
    found = {}
    for repository in same:
        for manifest in repository['manifests']:
            known = found.get(manifest['digest'], manifest)
            better = manifest if manifest['state'] == 'read' else known
            tags = [*known['tags'], *(tag for tag in manifest['tags'] if tag not in known['tags'])]
            found[manifest['digest']] = dict(better, tags=tags, locks=[*known['locks'], *manifest['locks']])
    return list(found.values())


def everywhere(regions):
    """(repository name, digest) of what every region has: all else would go on the word of some of them (Replicas)."""
    return set.intersection(*(set(all_nodes(world)) for world in regions))


# --- Layer impact ------------------------------------------------------------------------------------------------


def without(world, doomed):
    """The world after a deletion."""
    return [
        dict(
            repository,
            manifests=[
                manifest
                for manifest in repository['manifests']
                if (repository['name'], manifest['digest']) not in doomed
            ],
        )
        for repository in world
    ]


def blob_table(world, before=None):
    """{blob: bytes} of all that is stored: once per registry.

    A layer with `urls` is stored elsewhere, unless it was pushed: here that is so where another manifest of this world,
    or of the world `before`, has it without, even one that cannot be read. A ghost holds nothing, but what was pushed
    for it is there as long as another manifest has it.
    """
    everything = [manifest['document'] for repository in before or world for manifest in repository['manifests']]
    known = [document(manifest) for repository in world for manifest in repository['manifests']]
    pushed = {blob['digest'] for blob in _blobs(everything) if not blob.get('urls')}
    return {blob['digest']: blob['size'] for blob in _blobs(known) if blob['digest'] in pushed}


def _blobs(documents):
    """The descriptors of all blobs; an index may have some (The graph)."""
    for said in documents:
        in_index = [each for each in said.get('manifests', []) if each['mediaType'] not in MANIFESTS]
        blobs = [said.get('config'), *said.get('layers', []), *said.get('blobs', []), *in_index]
        yield from (blob for blob in blobs if blob)


def manifest_table(world):
    """{digest: bytes} of the manifests themselves."""
    return {
        manifest['digest']: len(manifest['data'])
        for repository in world
        for manifest in repository['manifests']
        if manifest['state'] == 'read'
    }


def freed_manifest_bytes(world, doomed):
    after = without(world, doomed)
    return sum(manifest_table(world).values()) - sum(manifest_table(after).values())


def freed_bytes(world, doomed):
    """What a deletion frees: all that is stored before, less all that is stored after."""
    after = without(world, doomed)
    freed = sum(blob_table(world).values()) - sum(blob_table(after, world).values())
    return freed + freed_manifest_bytes(world, doomed)


def shared_bytes(world, doomed):
    """Bytes of the doomed manifests' blobs that survive."""
    gone = [(name, digest) for name, digest in all_nodes(world) if (name, digest) not in doomed]
    theirs, surviving = blob_table(without(world, gone), world), blob_table(without(world, doomed), world)
    return sum(size for digest, size in theirs.items() if digest in surviving)


def fallen_with(repository, digest, doomed):
    """What goes when this one alone is deleted: referrers, attachments, and children that nothing else holds.

    The service takes what refers to it, whatever else needs that. Of all other parts, and of what refers to them, those
    stay that something needs which stays.
    """
    there = [manifest for manifest in repository['manifests'] if exists(manifest)]
    mine = [manifest for manifest in there if manifest['digest'] in doomed or manifest['digest'] == digest]
    taken = _grown({digest}, mine, lambda one, other: one['digest'] in subjects(other))
    fallen = _grown(
        taken, mine, lambda one, other: other['digest'] in children(one) or one['digest'] in subjects(other)
    )
    shrank = True
    while shrank:
        stay = [manifest for manifest in there if manifest['digest'] not in fallen]
        needed = {each['digest'] for each in there if any(needs(other, each) for other in stay)} - taken
        shrank = bool(needed & fallen)
        fallen -= needed
    return fallen


def _grown(start, manifests, brings):
    """`start` with whatever one of them brings along, until nothing new comes."""
    grown = set(start)
    grew = True
    while grew:
        new = {
            other['digest'] for one in manifests for other in manifests if one['digest'] in grown and brings(one, other)
        }
        grew = not new <= grown
        grown |= new
    return grown


def unique_bytes(world, name, digest, doomed):
    """What deleting one image alone, with what falls with it, would free (Layer impact)."""
    repository = next(repository for repository in world if repository['name'] == name)
    here = {node_digest for node_name, node_digest in doomed if node_name == name}
    return freed_bytes(world, {(name, other) for other in fallen_with(repository, digest, here)})


# --- After the deletion ------------------------------------------------------------------------------------------


def all_nodes(world):
    return [(repository['name'], manifest['digest']) for repository in world for manifest in repository['manifests']]


def broken_after(world, doomed, include=()):
    """Every harm that a deletion does, in words; empty when it is safe."""
    return [
        harm
        for repository in world
        for harm in _harm(repository, {digest for name, digest in doomed if name == repository['name']}, include)
    ]


def _harm(repository, doomed, include):
    for manifest in repository['manifests']:
        digest = manifest['digest']
        if digest in doomed and has_user_tag(manifest):
            yield f'{digest} is tagged and goes'
        if digest in doomed and is_locked(repository, manifest):
            yield f'{digest} is locked and goes'
        if digest in doomed and manifest['state'] == 'unreadable':
            yield f'{digest} could not be read and goes'
        if digest in doomed and not exists(manifest) and 'ghosts' not in include:
            yield f'{digest} is a ghost and goes'
        for other in repository['manifests']:
            if other['digest'] in doomed and digest not in doomed and needs(manifest, other):
                yield f'{digest} stays and loses {other["digest"]}'


# --- Drift -------------------------------------------------------------------------------------------------------


def _is_half_there(manifest, before):
    """A ghost that is new, or not as it was: perhaps an index whose push is under way (Drift: a new index)."""
    return (
        manifest['state'] == 'ghost'
        and manifest['media_type'] not in DOCKER_IMAGES
        and before.get(manifest['digest']) != manifest
    )


def needed_now(seen, fresh, planned):
    """What must stay in a repository that is no longer as the plan saw it (Drift).

    Whatever nobody planned to delete stays, with all that it needs; so does what was tagged, updated or locked
    meanwhile, or was a ghost and is there now, and everything once there is a new manifest that may need anything
    (Fail closed).
    """
    before = {manifest['digest']: manifest for manifest in seen['manifests']}
    if any(is_opaque(manifest) or _is_half_there(manifest, before) for manifest in fresh['manifests']):
        return set(before)
    stay = [
        manifest['digest']
        for manifest in fresh['manifests']
        if manifest['digest'] not in planned or _changed(before[manifest['digest']], manifest, fresh)
    ]
    return closure(fresh, stay)


def _changed(before, now, fresh):
    return (
        sorted(before['tags']) != sorted(now['tags'])
        or before['updated'] != now['updated']
        or is_locked(fresh, now)
        or exists(now)
        and not exists(before)
    )

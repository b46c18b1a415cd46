"""What a policy takes, worked out the slow and obvious way from the table in docs/policies.md.

It shares no code with the package on purpose: the property tests compare the two. Worlds are those of tests.oracle
and tests.purge_oracle; a policy is the document of its file. Of `match` it knows `repositories`, `tags`, `tagged`,
`everything` and `mediaTypes`, of `when` the ages, of `keep` the `newest` and `perSubject`; `do: retire` with a
fact for each digest: how many days ago this program retired it, or 'theirs' for what somebody else hid.
"""

from tests import oracle, purge_oracle

DAY = 86_400


def rule_of(document, repository, manifest, tag):
    """The first rule whose `match` has it."""
    return next((rule for rule in document['rules'] if matches(rule['match'], repository, manifest, tag)), None)


def matches(match, repository, manifest, tag):
    globs = match.get('repositories', ['**'])
    if not any(purge_oracle.glob_matches(glob, repository['name']) for glob in globs):
        return False
    if 'mediaTypes' in match and manifest['media_type'] not in match['mediaTypes']:
        return False
    if tag is None:
        return match.get('tagged') is not True and 'tags' not in match
    wanted = match.get('tags', ['*'])
    return match.get('tagged') is not False and any(purge_oracle.glob_matches(glob, tag) for glob in wanted)


def describes(rule):
    """Whether a rule says what an image is like."""
    return 'mediaTypes' in rule['match']


def takes_images(rule):
    return rule['do'] in ('delete', 'retire')


def flags(rule):
    """The age of a rule in the words of tests.purge_oracle."""
    return {
        'ago': rule.get('when', {}).get('olderThan', '1d'),
        'age_by': rule.get('when', {}).get('by', 'updated'),
        'include_locked': False,
        'include': (),
    }


def user_tags(manifest):
    return [tag for tag in manifest['tags'] if oracle.attached_to(tag, manifest) is None]


def old_tag(rule, repository, manifest, tag, now):
    return purge_oracle.is_old(flags(rule), purge_oracle.tag_time(flags(rule), repository, manifest, tag), now)


def old_manifest(rule, manifest, now, at_most=None):
    """Whether its age is over, or that of a day where a part only has to be no push under way."""
    how = flags(rule)
    if at_most is not None and purge_oracle.SECONDS[how['ago']] > at_most:
        how['ago'] = '1d'
    return purge_oracle.is_old(how, purge_oracle.manifest_time(how, manifest), now)


# --- Tags --------------------------------------------------------------------------------------------------------


def tags_that_go(repository, document, now):
    """{tag: rule} of the tags that go as far as they themselves decide it."""
    claimed = [
        (rule, manifest, tag)
        for manifest in repository['manifests']
        for tag in user_tags(manifest)
        for rule in [rule_of(document, repository, manifest, tag)]
        if rule and rule['do'] != 'keep' and 'perSubject' not in rule.get('keep', {})
        if not purge_oracle.protects_tag(flags(rule), repository, manifest, tag)
        if not manifest.get('quarantine')
    ]
    going = {}
    for rule in document['rules']:
        mine = [(manifest, tag) for of, manifest, tag in claimed if of is rule]
        spared = newest(rule, repository, mine, now)
        for manifest, tag in mine:
            if old_tag(rule, repository, manifest, tag, now) and tag not in spared:
                going[tag] = rule
    return going


def newest(rule, repository, claimed, now):
    """The tags that `keep` counts: of the newest images, or of the newest tags."""
    keep = rule.get('keep', {})
    ranked = [
        (purge_oracle.tag_time(flags(rule), repository, manifest, tag), tag, manifest['digest'])
        for manifest, tag in claimed
        if oracle.exists(manifest) and not manifest.get('missing')
        if keep.get('of') == 'all' or old_tag(rule, repository, manifest, tag, now)
    ]
    ranked = sorted((each for each in ranked if each[0] is not None), key=lambda each: (-each[0], each[1]))
    if keep.get('count') == 'tags':
        return [tag for _, tag, _ in ranked[: keep.get('newest', 0)]]
    images = list(dict.fromkeys(digest for _, _, digest in ranked))[: keep.get('newest', 0)]
    return [tag for _, tag, digest in ranked if digest in images]


# --- Manifests ---------------------------------------------------------------------------------------------------


def decide(world, document, now, retired=None):
    """(tags that go, manifests that go) of a world, as sets of (repository, tag) and (repository, digest)."""
    tags, doomed = set(), set()
    for repository in world:
        if not repository['selected']:
            continue
        repository = without_doubtful_ghosts(repository, document, now)
        repository = without_superseded_links(repository, document, now)
        going = tags_that_go(repository, document, now)
        held = set()
        while True:
            case = Case(repository, document, now, going, held)
            back, more = case.tags_to_give_back(), case.held_by_parts() - held
            if not back and not more:
                more = case.waiting(retired or {})
            if not back and not more:
                break
            going = {tag: rule for tag, rule in going.items() if tag not in back}
            held |= more
        tags |= {(repository['name'], tag) for tag in going}
        doomed |= {(repository['name'], digest) for digest in case.doomed}
    return tags, doomed


def without_doubtful_ghosts(repository, document, now):
    """A ghost that is younger than the rules ask for, or than a day, or has a tag, may be there: it is unreadable."""
    ages = [
        purge_oracle.SECONDS[rule['when']['olderThan']]
        for rule in document['rules']
        if takes_images(rule) and may_claim_untagged(rule['match'], repository)
    ]
    return oracle.settled([repository], max([DAY, *ages]), (), now)[0]


def without_superseded_links(repository, document, now):
    """What newer reports supersede is an image by itself: what it refers to does not keep it, and a rule takes it."""
    if any(map(oracle.is_opaque, repository['manifests'])):
        return repository
    groups = {}
    for manifest in repository['manifests']:
        rule = rule_of(document, repository, manifest, None)
        if not rule or 'perSubject' not in rule.get('keep', {}) or not is_report(repository, manifest):
            continue
        if not is_held_somewhere(repository, manifest):
            groups.setdefault((rule['name'], *oracle.oci_subjects(manifest)), []).append((rule, manifest))
    superseded = []
    for members in groups.values():
        rule = members[0][0]
        every = rule['keep'].get('of') == 'all'
        ranked = [manifest for _, manifest in members if every or old_manifest(rule, manifest, now)]
        ranked = [each for each in ranked if purge_oracle.manifest_time(flags(rule), each) is not None]
        ranked.sort(key=lambda each: (-purge_oracle.manifest_time(flags(rule), each), each['digest']))
        later = ranked[rule['keep']['perSubject']['newest'] :]
        superseded += [each['digest'] for each in later if old_manifest(rule, each, now)]
    manifests = [unlinked(each) if each['digest'] in superseded else each for each in repository['manifests']]
    return {**repository, 'manifests': manifests}


def is_report(repository, manifest):
    there = [each for each in repository['manifests'] if oracle.exists(each)]
    subjects = oracle.subjects(manifest)
    return (
        manifest['state'] == 'read'
        and not user_tags(manifest)
        and len(set(subjects)) == len(oracle.oci_subjects(manifest)) == 1
        and any(each['digest'] in subjects for each in there)
        and not any(manifest['digest'] in oracle.children(each) for each in there)
    )


def is_held_somewhere(repository, manifest):
    there = [each for each in repository['manifests'] if oracle.exists(each)]
    return any(
        oracle.is_locked(repository, each) or bool(each.get('quarantine')) or bool(user_tags(each))
        for each in reach([manifest], there)
    )


def unlinked(manifest):
    document = {key: value for key, value in oracle.document(manifest).items() if key != 'subject'}
    return {**manifest, 'document': document, 'superseded': True}


def may_claim_untagged(match, repository):
    globs = match.get('repositories', ['**'])
    here = any(purge_oracle.glob_matches(glob, repository['name']) for glob in globs)
    return here and match.get('tagged') is not True and 'tags' not in match


class Case:
    """One repository, with the tags that go."""

    def __init__(self, repository, document, now, going, held):
        self.repository, self.document, self.now, self.going, self.held = repository, document, now, going, held
        self.there = [manifest for manifest in repository['manifests'] if oracle.exists(manifest)]
        self.left = [manifest for manifest in repository['manifests'] if not self.staying_tags(manifest)]
        self.rules = {manifest['digest']: self.own_rule(manifest) for manifest in self.left}
        inherited = {manifest['digest']: self.inherited(manifest) for manifest in self.left}
        self.inherited_by = {digest for digest, rule in inherited.items() if rule}
        self.rules = {digest: inherited[digest] or rule for digest, rule in self.rules.items()}
        self.by_themselves = [each['digest'] for each in repository['manifests'] if self.stays_by_itself(each)]
        self.stay = oracle.closure(repository, self.by_themselves)
        self.doomed = {each['digest'] for each in repository['manifests']} - self.stay

    def staying_tags(self, manifest):
        return [tag for tag in user_tags(manifest) if tag not in self.going]

    def own_rule(self, manifest):
        """A rule that only takes tags off comes first: the image stays then."""
        rules = [self.going[tag] for tag in user_tags(manifest)]
        if not rules:
            return rule_of(self.document, self.repository, manifest, None)
        rules = [rule for rule in rules if rule['do'] == 'untag'] or rules
        return min(rules, key=self.document['rules'].index)

    def owners(self, manifest):
        """The indexes that have it and the subjects that it refers to."""
        return [
            other
            for other in self.there
            if oracle.exists(manifest)
            and not manifest.get('missing')
            and (manifest['digest'] in oracle.children(other) or other['digest'] in oracle.subjects(manifest))
        ]

    def belongs(self, manifest):
        """A part or a referrer has no claim of its own, unless a rule keeps what it is like."""
        rule = self.rules[manifest['digest']]
        kept = rule is not None and rule['do'] == 'keep' and describes(rule)
        return bool(self.owners(manifest)) and not user_tags(manifest) and not kept

    def inherited(self, manifest):
        """The rule that takes what it belongs to; of several the one of the greatest age."""
        if not self.belongs(manifest):
            return None
        above, queue = [], [manifest]
        while queue:
            for owner in self.owners(queue.pop()):
                if owner in self.left and owner not in above and owner is not manifest:
                    above.append(owner)
                    queue += [owner] if self.belongs(owner) else []
        rules = [self.rules[each['digest']] for each in above if not self.belongs(each)]
        rules = [rule for rule in rules if rule and takes_images(rule)]
        return max(rules, key=lambda rule: purge_oracle.SECONDS[rule['when']['olderThan']], default=None)

    def loses_all_its_tags(self, manifest):
        rule = self.rules.get(manifest['digest'])
        return bool(user_tags(manifest)) and manifest in self.left and rule is not None and takes_images(rule)

    def shares_its_fate(self, manifest):
        """Whether it refers to an image whose tags all go, or to a part of it, or hangs on such a referrer."""
        if manifest not in self.left or not self.belongs(manifest):
            return False
        parts = below([each for each in self.there if self.loses_all_its_tags(each)], self.there, oracle.children)
        first = [each for each in self.there if any(part['digest'] in oracle.subjects(each) for part in parts)]
        return manifest in reach(first, self.there)

    def is_young(self, manifest):
        rule = self.rules[manifest['digest']] or {'when': {'olderThan': '1d'}}
        if self.shares_its_fate(manifest):
            return False
        return not old_manifest(rule, manifest, self.now, DAY if manifest['digest'] in self.inherited_by else None)

    def ranks(self, manifest):
        """Whether it is among the newest untagged images of its rule."""
        rule = self.rules[manifest['digest']]
        if rule is None or manifest['digest'] in self.inherited_by:
            return False
        parts = [digest for each in self.there for digest in oracle.children(each)]
        keep = rule.get('keep', {})
        images = [
            each
            for each in self.left
            if self.rules[each['digest']] is rule and each['digest'] not in self.inherited_by
            if each['state'] == 'read' and not each['tags'] and each['digest'] not in parts
            if not oracle.oci_subjects(each)
            if keep.get('of') == 'all' or old_manifest(rule, each, self.now)
        ]
        images.sort(key=lambda each: (-(purge_oracle.manifest_time(flags(rule), each) or 0), each['digest']))
        return manifest in images[: keep.get('newest', 0)]

    def has_no_rank(self, manifest):
        """Whether its rule counts reports on an image, and it is none."""
        rule = self.rules[manifest['digest']]
        if rule is None or 'perSubject' not in rule.get('keep', {}) or manifest.get('superseded'):
            return False
        if manifest['digest'] in self.inherited_by or manifest['state'] != 'read':
            return False
        if any(manifest['digest'] in oracle.children(each) for each in self.there):
            return False
        if not oracle.oci_subjects(manifest):
            return not manifest['tags']
        there = {each['digest'] for each in self.there}
        return not user_tags(manifest) and not there.intersection(oracle.subjects(manifest))

    def stays_by_itself(self, manifest):
        rule = self.rules.get(manifest['digest'])
        return (
            manifest not in self.left
            or manifest['digest'] in self.held
            or oracle.is_locked(self.repository, manifest)
            or bool(manifest.get('quarantine'))
            or self.is_young(manifest)
            or self.ranks(manifest)
            or self.has_no_rank(manifest)
            or rule is None
            or not takes_images(rule)
            or manifest['state'] != 'read'
            or purge_oracle.is_orphan_after(self.repository, manifest)
            or any(map(oracle.is_opaque, self.repository['manifests']))
        )

    def is_subject(self, manifest):
        """Whether something that refers to it, however far, stays by itself."""
        reached = [each for each in self.there if each['digest'] in self.by_themselves]
        seen = []
        while reached:
            one = reached.pop()
            for other in self.there:
                if other['digest'] in oracle.subjects(one) and other not in seen:
                    seen.append(other)
                    reached.append(other)
        return manifest in seen

    def held_by_parts(self):
        """The indexes of a part that a rule keeps for what it is like, or that is a subject of what stays."""
        found = set()
        for part in self.there:
            rule = self.rules.get(part['digest'])
            kept = part in self.left and rule is not None and rule['do'] == 'keep' and describes(rule)
            if part['digest'] in self.stay and (kept or self.is_subject(part)):
                found |= {each['digest'] for each in self.there if part['digest'] in oracle.children(each)}
        return found - self.stay

    def tags_to_give_back(self):
        """The last tags of an image that stays: it goes whole, or not at all."""
        opaque = any(map(oracle.is_opaque, self.repository['manifests']))
        return {
            tag
            for manifest in self.left
            if self.loses_all_its_tags(manifest) and manifest['digest'] in self.stay
            if self.why_it_stays(manifest, opaque)
            for tag in user_tags(manifest)
        }

    def waiting(self, retired):
        """The images that are not deleted yet: some manifest of them was not retired for long enough."""
        found = set()
        for image in self.repository['manifests']:
            if image['digest'] not in self.doomed or not self.is_retired_by_itself(image):
                continue
            parts = [each for each in below([image], self.there, oracle.children) if each['digest'] in self.doomed]
            parts = [each for each in parts if each['state'] == 'read']
            wanted = max(rule['retire'] for rule in self.retiring(image))
            days = [retired.get(each['digest'], 0) for each in parts]
            if 'theirs' in days or min(days, default=wanted) < wanted:
                found |= {each['digest'] for each in parts}
        return found

    def retiring(self, image):
        rules = [self.going[tag] for tag in user_tags(image)] or [self.rules[image['digest']]]
        return [rule for rule in rules if rule and rule['do'] == 'retire']

    def is_retired_by_itself(self, image):
        above = [each for each in self.owners(image) if each['digest'] in self.doomed]
        return bool(self.retiring(image)) and (bool(user_tags(image)) or not above)

    def why_it_stays(self, manifest, opaque):
        """As part of another image it may lose its tags, and as a ghost too."""
        if manifest['digest'] in self.held or self.is_subject(manifest):
            return True
        if oracle.is_locked(self.repository, manifest):
            return False
        if self.is_young(manifest):
            return True
        if not oracle.exists(manifest) or purge_oracle.is_orphan_after(self.repository, manifest):
            return False
        return manifest['state'] == 'unreadable' or opaque


def below(start, there, edges):
    found = list(start)
    for one in found:
        found += [each for each in there if each['digest'] in edges(one) and each not in found]
    return found


def reach(start, there):
    """All that refers to these or is a part of them, however far."""
    found = list(start)
    for one in found:
        found += [
            each
            for each in there
            if (each['digest'] in oracle.children(one) or one['digest'] in oracle.subjects(each)) and each not in found
        ]
    return found

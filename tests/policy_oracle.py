"""What a policy takes, worked out the slow and obvious way from the table in docs/policies.md.

It shares no code with the package on purpose: the property tests compare the two. Worlds are those of tests.oracle
and tests.purge_oracle; a policy is the document of its file, without `size`, `until` and `lock`. What a rule says of
one image is in tests.policy_reading, and `facts` too; `retired` among them has a fact for each digest: how many days
ago this program retired it, or 'theirs' for what somebody else hid.
"""

from tests import oracle, purge_oracle
from tests.policy_reading import (
    DAY,
    describes,
    flags,
    has_rank,
    is_due,
    kept,
    names_quarantine,
    old_manifest,
    old_tag,
    rule_of,
)


def takes_images(rule):
    return rule['do'] in ('delete', 'retire')


def user_tags(manifest):
    return [tag for tag in manifest['tags'] if oracle.attached_to(tag, manifest) is None]


def protects(document, key, repository, tag):
    """Whether `tag` or `repository:tag` under `protect` has a tag; `base/**` has `base` too."""
    for text in document.get('protect', {}).get(key, ()):
        names, _, glob = text.rpartition(':')
        if is_in(names or '**', repository) and purge_oracle.glob_matches(glob, tag):
            return True
    return False


def is_in(glob, repository):
    top = glob.endswith('/**') and purge_oracle.glob_matches(glob[: -len('/**')], repository['name'])
    return top or purge_oracle.glob_matches(glob, repository['name'])


def is_protected(document, repository):
    return any(is_in(glob, repository) for glob in document.get('protect', {}).get('repositories', ()))


# --- Tags --------------------------------------------------------------------------------------------------------


def tags_that_go(repository, document, now, facts):
    """{tag: rule} of the tags that go as far as they themselves decide it."""
    claimed = []
    for manifest in repository['manifests']:
        tags = user_tags(manifest)
        if is_protected(document, repository) or any(protects(document, 'images', repository, tag) for tag in tags):
            continue
        for tag in tags:
            rule, certain = rule_of(document, repository, manifest, tag, facts)
            if protects(document, 'tags', repository, tag) or not rule or not certain or rule['do'] == 'keep':
                continue
            if purge_oracle.protects_tag(flags(rule), repository, manifest, tag):
                continue
            if not manifest.get('quarantine') or names_quarantine(rule, manifest):
                claimed.append((rule, manifest, tag))
    going = {}
    for rule in document['rules']:
        mine = [(manifest, tag) for of, manifest, tag in claimed if of is rule]
        spared = tags_that_stay(rule, repository, mine, now, facts)
        for manifest, tag in mine:
            if may_go(rule, repository, manifest, tag, now, facts) and tag not in spared:
                going[tag] = rule
    return without_floor(going, repository, document, now)


def may_go(rule, repository, manifest, tag, now, facts):
    return old_tag(rule, repository, manifest, tag, now) and is_due(rule, repository, manifest, tag, now, facts)


def tags_that_stay(rule, repository, claimed, now, facts):
    """The tags that `keep` spares: for their rank, or for want of one."""
    keep = rule.get('keep', {})
    counted = [
        (purge_oracle.tag_time(flags(rule), repository, manifest, tag), tag, manifest, tag)
        for manifest, tag in claimed
        if oracle.exists(manifest) and not manifest.get('missing') or 'perSubject' in keep
        if keep.get('of') == 'all' or may_go(rule, repository, manifest, tag, now, facts)
    ]
    spares = keep.get('others') != 'take'
    unranked = {tag for _, tag, manifest, _ in counted if spares and not has_rank(keep, tag, manifest, facts)}
    ranked = [each for each in counted if each[0] is not None and each[1] not in unranked]
    return unranked | kept(keep, ranked, facts)


def without_floor(going, repository, document, now):
    """So many images with a tag keep their newest tag, the newest of those that would lose all."""
    floor = document.get('limits', {}).get('minKeepPerRepository', 0)
    images = [each for each in repository['manifests'] if oracle.exists(each) and not each.get('missing')]
    staying = [each for each in images if any(tag not in going for tag in user_tags(each))]
    losing = [(each, tag) for each in images if each not in staying for tag in user_tags(each)]
    times = {tag: purge_oracle.tag_time(flags(going[tag]), repository, each, tag) for each, tag in losing}
    for each, tag in sorted(losing, key=lambda pair: (-times[pair[1]], pair[1])):
        if len(staying) < floor and each not in staying:
            staying.append(each)
            del going[tag]
    return going


# --- Manifests ---------------------------------------------------------------------------------------------------


def decide(world, document, now, facts=None):
    """(tags that go, manifests that go) of a world, as sets of (repository, tag) and (repository, digest)."""
    tags, doomed, facts = set(), set(), facts or {}
    for repository in world:
        if not repository['selected']:
            continue
        repository = without_doubtful_ghosts(repository, document, now)
        repository = without_superseded_links(repository, document, now, facts)
        going = tags_that_go(repository, document, now, facts)
        held = set()
        while True:
            case = Case(repository, document, now, going, held, facts)
            back, more = case.tags_to_give_back(), case.held_by_parts() - held
            if not back and not more:
                more = case.waiting(facts.get('retired', {}))
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


def without_superseded_links(repository, document, now, facts):
    """What newer reports supersede is an image by itself: what it refers to does not keep it, and a rule takes it."""
    if any(map(oracle.is_opaque, repository['manifests'])):
        return repository
    groups = {}
    for manifest in repository['manifests']:
        rule, certain = rule_of(document, repository, manifest, None, facts)
        if not rule or not certain or 'perSubject' not in rule.get('keep', {}) or not is_report(repository, manifest):
            continue
        if not is_held_somewhere(repository, manifest, document):
            groups.setdefault((rule['name'], *oracle.oci_subjects(manifest)), []).append((rule, manifest))
    superseded = []
    for members in groups.values():
        rule = members[0][0]
        every = rule['keep'].get('of') == 'all'
        ranked = [manifest for _, manifest in members if every or old_manifest(rule, manifest, now, facts)]
        ranked = [each for each in ranked if purge_oracle.manifest_time(flags(rule), each) is not None]
        ranked.sort(key=lambda each: (-purge_oracle.manifest_time(flags(rule), each), each['digest']))
        later = ranked[rule['keep']['perSubject']['newest'] :]
        superseded += [each['digest'] for each in later if old_manifest(rule, each, now, facts)]
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


def is_held_somewhere(repository, manifest, document):
    there = [each for each in repository['manifests'] if oracle.exists(each)]
    return is_protected(document, repository) or any(
        oracle.is_locked(repository, each)
        or bool(each.get('quarantine'))
        or bool(user_tags(each))
        or each['digest'] in document.get('protect', {}).get('digests', ())
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

    def __init__(self, repository, document, now, going, held, facts):
        self.repository, self.document, self.now, self.going, self.held = repository, document, now, going, held
        self.there = [manifest for manifest in repository['manifests'] if oracle.exists(manifest)]
        self.left = [manifest for manifest in repository['manifests'] if not self.staying_tags(manifest)]
        self.facts, self.uncertain = facts, set()
        self.rules = {manifest['digest']: self.own_rule(manifest) for manifest in self.left}
        inherited = {manifest['digest']: self.inherited(manifest) for manifest in self.left}
        self.inherited_by = {digest for digest, rule in inherited.items() if rule}
        self.uncertain -= self.inherited_by
        self.rules = {digest: inherited[digest] or rule for digest, rule in self.rules.items()}
        without_ranks = [each['digest'] for each in repository['manifests'] if self.stays_without_rank(each)]
        self.needed = oracle.closure(repository, without_ranks)
        self.by_themselves = [each['digest'] for each in repository['manifests'] if self.stays_by_itself(each)]
        self.stay = oracle.closure(repository, self.by_themselves)
        self.doomed = {each['digest'] for each in repository['manifests']} - self.stay

    def staying_tags(self, manifest):
        return [tag for tag in user_tags(manifest) if tag not in self.going]

    def own_rule(self, manifest):
        """A rule that only takes tags off comes first: the image stays then."""
        rules = [self.going[tag] for tag in user_tags(manifest)]
        if not rules:
            rule, certain = rule_of(self.document, self.repository, manifest, None, self.facts)
            self.uncertain |= set() if certain else {manifest['digest']}
            return rule
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
        certain = [each for each in above if each['digest'] not in self.uncertain]
        rules = [self.rules[each['digest']] for each in certain if not self.belongs(each)]
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
        at_most = DAY if manifest['digest'] in self.inherited_by else None
        return not old_manifest(rule, manifest, self.now, self.facts, at_most)

    def ranks(self, manifest):
        """Whether `keep` spares it as an image without a tag: for its rank, or for want of one."""
        rule = self.rules[manifest['digest']]
        if rule is None or 'keep' not in rule or manifest['digest'] in self.inherited_by:
            return False
        keep = rule['keep']
        counted = [
            (purge_oracle.manifest_time(flags(rule), each) or 0, each['digest'], each, None)
            for each in self.left
            if self.rules[each['digest']] is rule and self.is_image_without_tags(each) and self.takes_a_place(each)
            if keep.get('of') == 'all' or self.may_go(rule, each)
        ]
        spares = keep.get('others') != 'take'
        unranked = [each for each in counted if spares and not has_rank(keep, None, each[2], self.facts)]
        ranked = [each for each in counted if each[0] and each not in unranked]
        return manifest in [each[2] for each in unranked] or manifest['digest'] in kept(keep, ranked, self.facts)

    def takes_a_place(self, manifest):
        """What stays anyway takes no place, but what is young or waits for something may."""
        if self.stays_anyway(manifest):
            return False
        waits = self.is_young(manifest) or self.is_not_due(manifest) and manifest['digest'] not in self.held
        return waits or manifest['digest'] not in self.needed

    def may_go(self, rule, manifest):
        due = is_due(rule, self.repository, manifest, None, self.now, self.facts)
        return due and old_manifest(rule, manifest, self.now, self.facts)

    def is_image_without_tags(self, manifest):
        parts = [digest for each in self.there for digest in oracle.children(each)]
        return (
            manifest['state'] == 'read'
            and not manifest['tags']
            and manifest['digest'] not in parts
            and manifest['digest'] not in self.inherited_by
            and not oracle.oci_subjects(manifest)
        )

    def stays_anyway(self, manifest):
        """Locked, protected, in quarantine or perhaps of another rule."""
        rule = self.rules.get(manifest['digest'])
        return (
            oracle.is_locked(self.repository, manifest)
            or is_protected(self.document, self.repository)
            or self.is_protected_itself(manifest)
            or manifest['digest'] in self.uncertain
            or bool(manifest.get('quarantine'))
            and not (rule and names_quarantine(rule, manifest))
        )

    def is_protected_itself(self, manifest):
        """A digest that is protected keeps the image, and not its tags."""
        return manifest['digest'] in self.document.get('protect', {}).get('digests', ())

    def is_not_due(self, manifest):
        """A tag has answered for its image already, and an index for its parts."""
        rule = self.rules[manifest['digest']]
        if rule is None or rule['do'] == 'keep' or manifest['digest'] in self.inherited_by or user_tags(manifest):
            return False
        return not is_due(rule, self.repository, manifest, None, self.now, self.facts)

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
        return self.stays_without_rank(manifest) or self.ranks(manifest)

    def stays_without_rank(self, manifest):
        rule = self.rules.get(manifest['digest'])
        return (
            manifest not in self.left
            or manifest['digest'] in self.held
            or self.stays_anyway(manifest)
            or self.is_young(manifest)
            or self.is_not_due(manifest)
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
        if oracle.is_locked(self.repository, manifest) or self.is_protected_itself(manifest):
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

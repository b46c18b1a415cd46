"""Help texts; every example is a valid command."""

from knack.help_files import helps

helps['acr prune'] = """
type: group
short-summary: Delete stale image data safely, and know to the byte what that frees.
long-summary: >
    Platform images of multi-arch tags, signatures and other referrers, and locked content are never deleted while
    something needs them; nor is what was pushed less than a day ago, unless --ago says so. Layers are shared across the
    whole registry, so the sizes of images do not add up: a plan says what a deletion really frees.
"""

helps['acr prune plan'] = """
type: command
short-summary: Show what may be deleted, what it frees, and why the rest is kept. Never deletes.
long-summary: >
    Needs the permission to list and pull (AcrPull). The answer is the plan document; sizes in it are bytes.
    The exit code is not 0 when a repository could not be read.
examples:
  - name: Which untagged manifests of a registry may go, and how many bytes that frees.
    text: az acr prune plan -r myregistry -o table
  - name: Keep the five newest untagged images of each repository of a team, and show the reason for all that is kept.
    text: az acr prune plan -r myregistry --repository "team-a/**" --ago 30d --keep 5 --show-kept -o table
  - name: The plan in sums, by the reason for which manifests go or stay.
    text: az acr prune plan -r myregistry --group-by reason -o table
  - name: A plan for somebody to approve, with a summary in Markdown for the page of the pipeline.
    text: az acr prune plan -r myregistry --out plan.json --summary-file summary.md
  - name: A plan that another machine carries out by `az acr prune apply --plan state:nightly`, and the cache of both.
    text: az acr prune plan -r myregistry --state azure-blob:myaccount/acrprune --out state:nightly
  - name: What may go from several registries, a line each.
    text: az acr prune plan -r myregistry otherregistry --ago 30d -o table
  - name: What may go from all registries of a subscription that have a tag.
    text: az acr prune plan --all-registries --tag env=prod -o table
  - name: Only the number of bytes.
    text: az acr prune plan -r myregistry --query summary.freedBytes -o tsv
  - name: Write the whole plan to a file, without a sign-in to Azure.
    text: az acr prune plan -r myregistry -u mytoken -p mypassword --out plan.json
  - name: What the rules of a policy file would delete, and which rule decides about what.
    text: az acr prune plan -r myregistry --policy policy.yaml --show-kept -o table
  - name: Keep what the Kubernetes manifests in a folder use. The reason names the file and line.
    text: az acr prune plan -r myregistry --pins deploy --show-kept -o table
  - name: Tags of pull requests that are a month old, with the images that are left without a tag.
    text: az acr prune plan -r myregistry --match "**:pr-*" --ago 30d --untagged
  - name: What nothing needs and nobody changed this year.
    text: az acr prune plan -r myregistry --before 2026-01-01 -o table
  - name: What nobody has pulled for 90 days, by the log of the registry.
    text: az acr prune plan -r myregistry --match "**:*" --untagged --pulled-within 90d --workspace mylogs
"""

helps['acr prune untagged'] = """
type: command
short-summary: Delete untagged manifests that nothing needs.
long-summary: >
    Shows what goes, what that frees and what is kept, and asks. Each repository is listed again right before its
    manifests are deleted; what changed since is skipped. Needs the permission to list, pull and delete
    (AcrDelete with AcrPull). The exit code is not 0 when something failed or a repository could not be read.
examples:
  - name: Look first, then decide.
    text: az acr prune untagged -r myregistry
  - name: In a pipeline, what has been untagged for a week.
    text: az acr prune untagged -r myregistry --ago 7d --yes
  - name: Every night on another agent, which knows what the ones before it knew. Waits for other runs.
    text: az acr prune untagged -r myregistry --yes --state azure-blob:myaccount/acrprune --lock-timeout 30m
  - name: In several registries, one after the other. What fails in one leaves the others alone.
    text: az acr prune untagged -r myregistry otherregistry --ago 7d --yes
  - name: In every registry that a query of Azure Resource Graph finds, in all subscriptions.
    text: >
      az acr prune untagged --ago 7d --yes --query-graph
      "resources | where type =~ 'microsoft.containerregistry/registries' and tags.env =~ 'prod'"
  - name: Every night, with numbers for Prometheus.
    text: az acr prune untagged -r myregistry --ago 7d --yes --metrics-file acrprune.prom
  - name: Show the plan and delete nothing.
    text: az acr prune untagged -r myregistry --repository team-a/api --dry-run -o table
  - name: Keep a copy of all that goes, which `az acr prune restore` brings back.
    text: az acr prune untagged -r myregistry --archive /mnt/archive --new-archive --yes
  - name: Keep what runs now in a cluster and in the web apps of the subscription.
    text: az acr prune untagged -r myregistry --pins-from aks:mycluster webapps
  - name: Also ghosts, and signatures whose image is gone. Check afterwards that nothing new is broken.
    text: az acr prune untagged -r myregistry --include ghosts orphans --validate --yes
  - name: Keep what runs in a cluster. The list of its pods is piped from `kubectl get pods -A -o json`.
    text: az acr prune untagged -r myregistry --pins - --yes
"""

helps['acr prune tags'] = """
type: command
short-summary: Remove tags by pattern, age and number, and delete what is left without a tag.
long-summary: >
    Takes the options of `acr purge`. Without --untagged only tags go, and that frees nothing, unless the registry has a
    retention policy. A signature or SBOM
    under a tag of its own goes and stays with its image. What is locked, younger than --ago, or needed by an image that
    stays is left alone. With --yes nothing is deleted when more than half of the tagged manifests of a repository
    would go, unless --max-percent allows it.
examples:
  - name: Look first. Tags that are older than 30 days in one repository, with their images.
    text: az acr prune tags -r myregistry --filter "hello-world:.*" --ago 30d --untagged --dry-run -o table
  - name: Keep three builds of every branch and five releases, in all repositories of a team.
    text: >
        az acr prune tags -r myregistry --match "team-a/**:*" --keep-per "3:^(?P<branch>.+)-[0-9]+$" --keep-semver 5
        --exclude "**:latest" --untagged
  - name: In a pipeline, as with acr purge.
    text: az acr prune tags -r myregistry --filter ".*:^pr-" --ago 7d --untagged --yes
  - name: Only remove tags. Where a retention policy is on, the preview says which images the registry deletes then.
    text: az acr prune tags -r myregistry --match "**:pr-*" --ago 7d --untag-only --yes
"""

helps['acr prune image'] = """
type: command
short-summary: Delete images by name, with their platform images and attachments; or remove tags alone.
long-summary: >
    Deletes the manifest with all its tags. Platform images that no other index needs, signatures and other referrers
    are deleted with it. The preview lists all of them and the bytes. A manifest that something else needs stays.
    With --untag only the tag goes. Where a retention policy is on, the registry itself deletes an image of a Docker
    type that has no tag left: the preview says so.
examples:
  - name: The image of one tag.
    text: az acr prune image -r myregistry --image team-a/api:v1
  - name: Two images, one by its manifest digest.
    text: >
        az acr prune image -r myregistry --image team-a/api:v1
        --image team-a/api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  - name: Only remove the tag.
    text: az acr prune image -r myregistry --image team-a/api:v1 --untag
"""

helps['acr prune repository'] = """
type: command
short-summary: Delete a whole repository.
long-summary: >
    Deletes every manifest that the preview named. Anything locked in it stops the command. What is pushed meanwhile
    stays, with all that it needs.
examples:
  - name: Preview, question, and deletion.
    text: az acr prune repository -r myregistry --repository team-a/old
"""

helps['acr prune apply'] = """
type: command
short-summary: Carry out a plan, and nothing but the plan; after an interruption, go on where it stopped.
long-summary: >
    A plan is refused when it is of another registry, was edited or cut off, or is too old. What changed since is
    skipped, with the reason. Run again after an interruption, it goes on: what is gone already is in `goneBefore`, and
    the freed bytes are those of this run.
examples:
  - name: In a pipeline, after somebody has looked at the plan.
    text: az acr prune apply -r myregistry --plan plan.json --yes
  - name: A plan of last week, and never more than 200 deletions.
    text: az acr prune apply -r myregistry --plan plan.json --max-age 7d --max-deletions 200
"""

helps['acr prune explain'] = """
type: command
short-summary: Explain the whole decision for one image.
long-summary: >
    Says which rule decides about it, what keeps it, what would go with it, which layers it shares and with whom. Takes
    the options of `az acr prune plan` that select.
examples:
  - name: Why is this image not deleted?
    text: az acr prune explain -r myregistry --image team-a/api:v1
  - name: What does a policy say about a manifest?
    text: >
        az acr prune explain -r myregistry --policy policy.yaml --image
        team-a/api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
"""

helps['acr prune check'] = """
type: command
short-summary: Check the health of a registry, with the command that repairs each finding. Changes nothing.
long-summary: >
    Reads every manifest anew, because nothing else finds ghosts: manifests that are listed but cannot be read.


    A finding is broken when pulling fails or when it stands in the way of cleaning up: ghosts, manifests that are not
    valid, indexes in use that lack children or name none, and images that give another size for a layer than other
    images do. The exit code is then 1. All other findings are hints: attachments, referrers and cosign tags whose
    subject is gone, indexes that lack children and that nothing needs, and locks on a tag or on its manifest alone.


    `mend.command` repairs the finding. It is null where no command can, such as for an image that has to be pushed
    again; `mend.advice` says what to do then. Needs the permission to list and pull (AcrPull).
examples:
  - name: What is wrong, and what repairs it.
    text: az acr prune check -r myregistry -o table
  - name: In a pipeline, only the repositories of a team.
    text: az acr prune check -r myregistry --repository "team-a/**" --query summary
  - name: All commands that repair something, to read before you run them.
    text: az acr prune check -r myregistry --query "findings[].mend.command" -o tsv
  - name: Only the ghosts. `az acr prune untagged --include ghosts` deletes them.
    text: az acr prune check -r myregistry --query "findings[?code=='ghost']" -o table
  - name: Every registry of the subscription, a line each.
    text: az acr prune check --all-registries -o table
"""

helps['acr prune report'] = """
type: command
short-summary: Write an HTML report on where the space goes and what a plan does.
long-summary: >
    One file with a map of the registry, its growth, the age of what nothing needs, the largest repositories, images
    and layers with the images that share them, and the warnings. It needs no network and no other file. The answer of
    the command is a summary of it. Deletes nothing; needs the permission to list and pull (AcrPull). The exit code is
    not 0 when a repository could not be read.
examples:
  - name: The registry as it is.
    text: az acr prune report -r myregistry --out report.html -o none
  - name: What a plan frees, and what keeps the rest.
    text: az acr prune report -r myregistry --plan plan.json --out report.html -o table
  - name: One number of it.
    text: az acr prune report -r myregistry --out report.html --query summary.unneededBytes -o tsv
  - name: All registries of the subscription in one file, with what each costs.
    text: az acr prune report --all-registries --price "0.003 USD" --out report.html -o table
"""

helps['acr prune usage'] = """
type: command
short-summary: Show who uses how much of a registry, and what it costs. Deletes nothing.
long-summary: >
    Rows are repositories, images, layers or patterns of tags, those with the most bytes first.


    `attributedBytes` is the share of a row: each layer is split evenly over the images that use it, so all rows add up
    exactly to what the registry stores. `totalBytes` is what would be stored if nothing were shared, `storedBytes`
    counts each layer once, `uniqueBytes` would be freed if the row went, and `sharedBytes` would stay. An image is
    counted with what is deleted with it, as `az acr prune image` does that, but its `attributedBytes` are its own: the
    platform images of an index have rows of their own. `staysWith` names what of it would stay, and why.


    A pattern is a tag with `*` for each UUID, commit (seven or more hex digits by themselves) and number: `pr-123` and
    `pr-7` are `pr-*`, and `v1.2.3` is `v*.*.*`. A manifest without a tag belongs to the patterns of all tags that keep
    it, such as that of its index, evenly if there are several. What no tag keeps has a row without a pattern. `growth`
    is `attributedBytes` by the month in which each layer first appeared in the registry.


    Beside that stands what Azure says that the registry uses, where the signed-in identity may ask. Needs the
    permission to list and pull (AcrPull). The exit code is not 0 when a repository could not be read.
examples:
  - name: Which repositories take the space.
    text: az acr prune usage -r myregistry -o table
  - name: The twenty largest layers, who uses them, and the base image that they belong to.
    text: az acr prune usage -r myregistry --by layer --top 20 -o table
  - name: What pull requests and nightly builds take, by the shape of their tags.
    text: az acr prune usage -r myregistry --by tag-pattern --top 30 -o table
  - name: With the costs, and with the last pulls in the log of the registry.
    text: az acr prune usage -r myregistry --price "0.003 USD" --workspace mylogs
  - name: What each registry of the subscription stores, and what it costs.
    text: az acr prune usage --all-registries --price "0.003 USD" -o table
"""

helps['acr prune pins'] = """
type: group
short-summary: Find the images that are in use, and lock them.
"""

helps['acr prune pins list'] = """
type: command
short-summary: List what is pinned, by whom, and what of it is no longer in the registry.
long-summary: >
    A deployment whose image is missing fails when it starts again. Needs one call for each image, and the permission
    to read metadata. The exit code is not 0 when something could not be read.
examples:
  - name: What do the manifests in a folder use?
    text: az acr prune pins list -r myregistry --pins deploy -o table
  - name: Which running pods could not be started again? Pipe `kubectl get pods -A -o json` into it.
    text: az acr prune pins list -r myregistry --pins - --query "pins[?status!='found']"
  - name: What does the whole subscription use?
    text: az acr prune pins list -r myregistry --pins-from subscription -o table
"""

helps['acr prune pins remember'] = """
type: command
short-summary: Record which images running systems use, for --ran-within.
long-summary: >
    The record is a file on this machine. With --ran-within, the commands that delete keep what was seen in use within
    that time, even when a system is down or scaled to zero by then. Run this every hour or every day. Every other
    command with --pins-from adds to the record too.
examples:
  - name: Look at a cluster and at everything in the subscription
    text: az acr prune pins remember -r myregistry --pins-from kubectl:production subscription
"""

helps['acr prune pins lock'] = """
type: command
short-summary: Lock pinned manifests against deletion by anybody, and unlock those that are no longer pinned.
long-summary: >
    Sets `deleteEnabled` to false on what is pinned. Unlocks only what it locked itself. Give all pins each time.
    Nothing is unlocked while some of the pins cannot be read, nor while it is not known what other machines have
    pinned: see --marks and --alone. Needs the permission to write metadata.
examples:
  - name: Look first.
    text: az acr prune pins lock -r myregistry --pins deploy --dry-run -o table
  - name: In a pipeline, after each deployment.
    text: az acr prune pins lock -r myregistry --pins deploy --strict-pins --alone --yes
"""

helps['acr prune policy'] = """
type: group
short-summary: Check policy files, whose rules say what may be deleted.
"""

helps['acr prune policy validate'] = """
type: command
short-summary: Check a policy file, and say on which line it is wrong and what was expected.
examples:
  - name: Check a file before it is committed.
    text: az acr prune policy validate --file policy.yaml
"""

helps['acr prune policy explain'] = """
type: command
short-summary: Say in sentences what a policy file does, one for each rule.
examples:
  - name: What a colleague's policy does.
    text: az acr prune policy explain --file policy.yaml
"""

helps['acr prune policy test'] = """
type: command
short-summary: Try a policy on images that a file describes, without a registry.
long-summary: >
    The file says in a few words which images there are, which of them stay and which go. The exit code is 1 when the
    policy decides otherwise, and the result has the chain of decisions for each surprise. docs/policies.md says how a
    test is written.
examples:
  - name: The tests of a policy, in a pipeline.
    text: az acr prune policy test --file policy.tests.yaml
  - name: The same tests with another policy.
    text: az acr prune policy test --file policy.tests.yaml --policy new.yaml -o table
"""

helps['acr prune policy diff'] = """
type: command
short-summary: Compare two policies, and show what only one of them would delete or retire.
long-summary: >
    Both are tried on the same registry, or on a file that plan wrote with --inventory-out. Nothing is deleted. Pins and
    logs of pulls are not read: what a rule makes depend on pulls stays with either policy, and where the new one asks
    fewer of them, or has a higher limit, the result names that as weaker.
examples:
  - name: In a pull request, and fail when the new policy takes more or guards less.
    text: >
        az acr prune policy diff -r myregistry --old main.yaml --new policy.yaml --markdown diff.md --fail-on more
  - name: Without a registry.
    text: az acr prune policy diff --inventory inventory.json --old main.yaml --new policy.yaml -o table
"""

helps['acr prune policy show-schema'] = """
type: command
short-summary: Show the JSON schema of a policy file, for an editor.
examples:
  - name: As JSON, to be redirected to a file that an editor uses.
    text: az acr prune policy show-schema -o json
"""

helps['acr prune schema'] = """
type: group
short-summary: See what the documents look like that commands answer with.
long-summary: The numbers in them are explained in `docs/numbers.md`.
"""

helps['acr prune schema list'] = """
type: command
short-summary: List the documents, and the commands that answer with each.
examples:
  - name: All of them.
    text: az acr prune schema list -o table
"""

helps['acr prune schema show'] = """
type: command
short-summary: Show the JSON schema of a document, by the draft 2020-12. It says of each key what it means.
long-summary: >
    `az acr prune plan show-schema` is the same for the document of one command, whichever command it is.
examples:
  - name: That of a plan.
    text: az acr prune schema show --name plan
  - name: That of what `untagged`, `tags`, `image`, `repository` and `apply` answer with.
    text: az acr prune schema show --name result
"""

helps['acr prune policy show-example'] = """
type: command
short-summary: Show an example of a policy, to start from.
examples:
  - name: For a registry that pipelines push to.
    text: az acr prune policy show-example --name ci -o yaml
  - name: As a file of your own, with its comments.
    text: az acr prune policy show-example --name production --out policy.yaml
"""

helps['acr prune cache'] = """
type: group
short-summary: Show or delete the cache of manifests on this machine.
long-summary: >
    A manifest never changes, so it is read once and kept in a file below the configuration folder of az. Tags, locks
    and times are read anew in each run. Deleting the file costs time in the next run and nothing else.
"""

helps['acr prune cache show'] = """
type: command
short-summary: Show where the cache of a registry is and what it holds. Needs no sign-in.
examples:
  - name: How many manifests are kept, and how many bytes that takes.
    text: az acr prune cache show -r myregistry -o table
  - name: A registry with a domain name label, by its full login server.
    text: az acr prune cache show -r myregistry-abc123.azurecr.io
"""

helps['acr prune cache clear'] = """
type: command
short-summary: Delete the cache of a registry from this machine. Needs no sign-in.
long-summary: Deletes nothing in the registry.
examples:
  - name: Begin with an empty cache, for example after the file was damaged.
    text: az acr prune cache clear -r myregistry
"""

helps['acr prune undo'] = """
type: command
short-summary: Bring back what a run took, from wherever it can be had. Deletes nothing.
long-summary: >
    The last run that deleted something from the registry, or the one that --run names. What it archived comes back from
    its archive, and what the registry keeps as soft-deleted from there; where each has a part, both are used. It says
    first what comes back, what does not, and why, and asks. Of a restore that moved tags, the tags go back to where
    they were. After an interruption, run it again: it goes on. Needs the permissions of `az acr prune restore`.
examples:
  - name: Undo the last run that deleted something.
    text: az acr prune undo -r myregistry
  - name: See what would come back, and what would not.
    text: az acr prune undo -r myregistry --dry-run -o table
  - name: On another machine, by the copy of the journal that the run left in its archive.
    text: az acr prune undo -r myregistry --archive /mnt/archive
  - name: Undo what the last run on any machine deleted that uses this state.
    text: az acr prune undo -r myregistry --state azure-blob:myaccount/acrprune
  - name: One image of a run, by the name that `az acr prune history list` gives.
    text: az acr prune undo -r myregistry --run 20260101T000000.000000Z-0a1b2c3d --image team-a/api:v1 --yes
"""

helps['acr prune restore'] = """
type: command
short-summary: Bring back what was deleted, from an archive or from a registry that has soft delete on.
long-summary: >
    Layers that the registry still has somewhere are mounted, the others uploaded. Children come before indexes,
    subjects before what refers to them, then tags, then locks. Every manifest is the same to the byte. A tag that
    exists now is never moved without --overwrite, and what is there already is left alone, so after an interruption you
    can run it again. It asks before it moves tags, and before it restores to another registry than the one that was
    archived. Needs the permission to push (AcrPush); with --soft-deleted the permission to restore deleted content,
    which Owner and Contributor have.
examples:
  - name: See what an archive can bring back. All of it is read and verified.
    text: az acr prune restore -r myregistry --archive /mnt/archive --all --dry-run -o table
  - name: One image, with its platform images, signatures, tags and locks.
    text: az acr prune restore -r myregistry --archive /mnt/archive --image team-a/api:v1
  - name: All tags of a team that begin with v, of what went within a week.
    text: az acr prune restore -r myregistry --archive /mnt/archive --image "team-a/**:v*" --since 7d
  - name: All of it, from a container of a storage account.
    text: az acr prune restore -r myregistry --archive azure-blob:myaccount/images --all
  - name: What a policy retired can be pulled again.
    text: az acr prune restore -r myregistry --retired
  - name: To another registry than the one that was archived.
    text: >
        az acr prune restore -r othername --archive azure-blob:myaccount/images --all
        --from-registry myregistry.azurecr.io
  - name: What the last run deleted, where soft delete is on.
    text: az acr prune restore -r myregistry --soft-deleted
  - name: One image that the registry keeps as deleted, whoever deleted it.
    text: az acr prune restore -r myregistry --soft-deleted --image team-a/api:v1
"""

helps['acr prune archive'] = """
type: group
short-summary: Look into archives, verify them, and keep them small. Needs no registry.
"""

helps['acr prune archive list'] = """
type: command
short-summary: List the images in an archive, with their tags and the time at which they were archived.
long-summary: >
    `imageSize` counts the manifest and its own blobs. Images share layers, so these sizes do not add up: `az acr prune
    archive show` says what the archive takes. A table has the newest images only.
examples:
  - name: Everything that an archive can bring back.
    text: az acr prune archive list --archive /mnt/archive -o table
  - name: What a team had.
    text: az acr prune archive list --archive /mnt/archive -r myregistry --repository "team-a/**"
"""

helps['acr prune archive show'] = """
type: command
short-summary: Show how much an archive holds, since when, what that costs, and which runs wrote it; or one image.
examples:
  - name: What it takes, and what it costs in a month at this price for a GiB and day.
    text: az acr prune archive show --archive /mnt/archive --price "0.0006 USD" -o table
  - name: One image, with its blobs.
    text: az acr prune archive show --archive /mnt/archive --image team-a/api:v1
"""

helps['acr prune archive verify'] = """
type: command
short-summary: Read every byte of an archive, and say which images could not come back.
long-summary: >
    Compares each blob with its digest, and looks whether each image has all that it needs. The exit code is 1 when
    something is damaged. Images of which only the manifest was archived are counted, and are no damage.
examples:
  - name: Once a month, from a pipeline.
    text: az acr prune archive verify --archive /mnt/archive --query summary
"""

helps['acr prune archive expire'] = """
type: command
short-summary: Take images out of an archive that were archived long ago.
long-summary: >
    Only the index changes. What other images need stays, and so do all blobs, until `az acr prune archive compact`
    removes those that nothing needs.
examples:
  - name: What would expire.
    text: az acr prune archive expire --archive /mnt/archive --older-than 180d --dry-run
  - name: In a pipeline, before the archive is compacted.
    text: az acr prune archive expire --archive /mnt/archive --older-than 180d --yes
"""

helps['acr prune archive compact'] = """
type: command
short-summary: Remove the blobs that nothing in an archive needs.
long-summary: >
    Removes nothing while a manifest in the archive cannot be read, because it is not known what that one needs. Run it
    again after an interruption: it goes on, and until then nothing can be added to the archive.
examples:
  - name: How much that would free.
    text: az acr prune archive compact --archive /mnt/archive --dry-run --query summary
  - name: In a pipeline.
    text: az acr prune archive compact --archive /mnt/archive --yes
"""

helps['acr prune archive repair'] = """
type: command
short-summary: Make the index of an archive anew, from what is left of it and from the blobs.
long-summary: >
    Each run writes down beside the blobs what it archived. So an index that is lost or damaged can be made anew, with
    repositories, tags and locks. Entries whose manifest is missing or damaged are taken out, and named. What expired
    comes back as long as the archive was not compacted.
examples:
  - name: What would be in the new index.
    text: az acr prune archive repair --archive /mnt/archive --dry-run
  - name: Write it.
    text: az acr prune archive repair --archive /mnt/archive --yes
"""

helps['acr prune history'] = """
type: group
short-summary: Show what earlier runs on this machine, or with the same state, deleted, locked or restored.
long-summary: >
    Journals are kept for 400 days. `az config set acrprune.journal_keep=90d` sets another time, and `forever` keeps
    them all.
"""

helps['acr prune history list'] = """
type: command
short-summary: List the runs that deleted, locked or restored something, newest first. Needs no sign-in.
examples:
  - name: Who deleted or locked what, and when.
    text: az acr prune history list -o table
  - name: Of one registry.
    text: az acr prune history list -r myregistry
  - name: Of the registries of a resource group.
    text: az acr prune history list --all-registries -g mygroup
  - name: Of all machines and registries that share a state.
    text: az acr prune history list --state azure-blob:myaccount/acrprune -o table
"""

helps['acr prune history show'] = """
type: command
short-summary: Show what a run did, why, and the command that brings it back. Needs no sign-in.
examples:
  - name: The last run, on one screen.
    text: az acr prune history show -o table
  - name: The run that took an image.
    text: az acr prune history show --image team-a/api:v3 -o table
  - name: Each request of a run, by the name that `az acr prune history list` gives.
    text: az acr prune history show --run 20260101T000000.000000Z-0a1b2c3d --requests -o table
"""

helps['acr prune schedule'] = """
type: group
short-summary: Prune a registry each night, by a timer of ACR Tasks.
long-summary: >
    A schedule is a task of the registry. What it runs is an artifact in the registry, `acrprune/schedules:NAME`: this
    extension, the policy and the pins, with a checksum of each. No rule takes anything below `acrprune/`.
"""

helps['acr prune schedule create'] = """
type: command
short-summary: Create a schedule, or make it what the options say. Creating it twice changes nothing.
long-summary: >
    Each run plans and reports. With --enforce it then deletes what it has planned, but for the first run, and the first
    one after each change of what runs. Needs `az login`, the role Contributor on the registry, the permission to push,
    and, for role assignments, Role Based Access Control Administrator. The steps run in Microsoft's image of azure-cli;
    --image names another one, as where the registry may pull only from itself.
examples:
  - name: The same schedule on each registry of the subscription that has a tag.
    text: >
        az acr prune schedule create --all-registries --tag env=dev -n nightly --cron "0 3 * * *" --policy policy.yaml
        --identity [system] -o table
  - name: What would be created, with the YAML of the task and the roles.
    text: >
        az acr prune schedule create -r myregistry -n nightly --cron "0 3 * * *" --policy policy.yaml
        --identity [system] --dry-run -o table
  - name: A report of untagged images each night at three, in UTC.
    text: >
        az acr prune schedule create -r myregistry -n nightly --cron "0 3 * * *" --ago 30d --identity [system]
  - name: With the report of the last run as an artifact in the registry, in an image with azure-cli of your choice.
    text: >
        az acr prune schedule create -r myregistry -n nightly --cron "0 3 * * *" --ago 30d --identity [system]
        --image mcr.microsoft.com/azure-cli@sha256:23b520868509add054d385d90dc3fc5268f10a2f58947a994e30babe938e31ae
        --report-artifact
  - name: Delete by a policy, as an identity of its own, with a state and an archive.
    text: >
        az acr prune schedule create -r myregistry -n nightly --cron "0 3 * * *" --policy policy.yaml --enforce
        --state azure-blob:myaccount/acrprune --archive azure-blob:myaccount/images
        --identity
        /subscriptions/SUB/resourceGroups/mygroup/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pruner
"""

helps['acr prune schedule update'] = """
type: command
short-summary: Change a schedule, and give it this version of the extension.
long-summary: >
    What is not named stays. To change what is selected by options, use `az acr prune schedule create`.
examples:
  - name: From now on it deletes, after a run that shows what.
    text: az acr prune schedule update -r myregistry -n nightly --enforce true
  - name: Another time.
    text: az acr prune schedule update -r myregistry -n nightly --cron "30 2 * * sun"
  - name: Switch it off.
    text: az acr prune schedule update -r myregistry -n nightly --enabled false
  - name: Another policy.
    text: az acr prune schedule update -r myregistry -n nightly --policy policy.yaml
"""

helps['acr prune schedule list'] = """
type: command
short-summary: List schedules, with how the last run ended, what it freed, and when the next one is.
examples:
  - name: Of all registries of the subscription.
    text: az acr prune schedule list -o table
  - name: Of one registry.
    text: az acr prune schedule list -r myregistry
"""

helps['acr prune schedule show'] = """
type: command
short-summary: Show a schedule, with the YAML of its task.
examples:
  - name: On one screen.
    text: az acr prune schedule show -r myregistry -n nightly -o table
"""

helps['acr prune schedule run'] = """
type: command
short-summary: Have a schedule run now. Does not wait for its end.
examples:
  - name: Start it.
    text: az acr prune schedule run -r myregistry -n nightly
"""

helps['acr prune schedule logs'] = """
type: command
short-summary: Show what a run showed and did.
examples:
  - name: The last run.
    text: az acr prune schedule logs -r myregistry -n nightly -o table --top 0
  - name: Only the numbers of a run.
    text: az acr prune schedule logs -r myregistry -n nightly --run ca1 --query summary
"""

helps['acr prune schedule delete'] = """
type: command
short-summary: Delete a schedule, with its artifact in the registry. Role assignments and reports stay.
examples:
  - name: Without being asked.
    text: az acr prune schedule delete -r myregistry -n nightly --yes
"""

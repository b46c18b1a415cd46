"""Help texts; every example is a valid command."""
from knack.help_files import helps

helps['acr prune'] = """
type: group
short-summary: Delete stale image data safely, and know to the byte what that frees.
long-summary: >
    Platform images of multi-arch tags, signatures and other referrers, locked and freshly pushed content are never
    deleted. Layers are shared across a whole registry, so that sizes of images do not add up: a plan says what
    a deletion really frees.
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
  - name: Just the bytes.
    text: az acr prune plan -r myregistry --query summary.freedBytes -o tsv
  - name: Write the whole plan to a file, without a sign-in to Azure.
    text: az acr prune plan -r myregistry -u mytoken -p mypassword --out plan.json
"""

helps['acr prune untagged'] = """
type: command
short-summary: Delete untagged manifests that nothing needs.
long-summary: >
    Shows what goes, what that frees and what is kept, and asks. Each repository is looked at again right before
    its manifests are deleted; what changed meanwhile is skipped. Needs the permission to list, pull and delete
    (AcrDelete with AcrPull). The exit code is not 0 when something failed or a repository could not be read.
examples:
  - name: Look first, then decide.
    text: az acr prune untagged -r myregistry
  - name: In a pipeline, what has been untagged for a week.
    text: az acr prune untagged -r myregistry --ago 7d --yes
  - name: Only answer with the plan.
    text: az acr prune untagged -r myregistry --repository team-a/api --dry-run -o table
"""

helps['acr prune cache'] = """
type: group
short-summary: Look at or delete what earlier runs kept of a registry's manifests on this machine.
long-summary: >
    A manifest never changes, so that it is read once and kept in a file below the configuration folder of az. Tags,
    locks and times are asked for every time. Deleting the file costs time in the next run and nothing else.
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
short-summary: Delete the cache of a registry from this machine, and say what it held. Needs no sign-in.
long-summary: Deletes nothing in the registry.
examples:
  - name: Start anew, also after the file was damaged.
    text: az acr prune cache clear -r myregistry
"""

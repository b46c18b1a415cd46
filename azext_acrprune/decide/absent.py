"""Pins that point to nothing: a typing error in one would let go what it means."""

from __future__ import annotations

from ..model import Inventory, Repository
from ..pins.pinned import Pin, Pins


def absent_pins(inventory: Inventory, pins: Pins) -> tuple[Pin, ...]:
    """The pins that are certain to mean this registry and name an image that is not in it, as far as it was read.

    What could not be read may be there, and so may all of a repository that was not looked at.
    """
    known = {repository.name: repository for repository in inventory.repositories}
    late = inventory.late or not inventory.complete
    return tuple(pin for pin in pins.pins if pin.reference.certain and _is_absent(pin, known, bool(late)))


def _is_absent(pin: Pin, known: dict[str, Repository], late: bool) -> bool:
    repository = known.get(pin.reference.repository)
    if repository is None:
        return not late
    if pin.reference.digest is not None:
        return pin.reference.digest not in repository.manifests
    tagged = {tag for manifest in repository.manifests.values() for tag in manifest.tags}
    return pin.reference.tag not in repository.tags and pin.reference.tag not in tagged

"""The images of a cluster that kubeadm sets up: it gives their names itself, and files say the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .around import host_of, texts_of
from .references import Finding, RegistryNames, Unresolved, find_references
from .scopes import Place, Scope, Value

_OF_KUBERNETES = ('kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy')
_CHOSEN = 'kubeadm chooses the tags of the other images in it, as that of pause'
_COMPONENTS = ('dns', 'local')

_Made = tuple[Finding, int, frozenset[Place]]


def is_cluster(scope: Scope) -> bool:
    """Whether a mapping is the configuration of a cluster: a document of kubeadm, or a part of one of Cluster API."""
    kind = scope.entries.get('kind')
    return scope.key == 'clusterConfiguration' or kind is not None and kind[0].text == 'ClusterConfiguration'


def may_be_component(scope: Scope) -> bool:
    """Whether a mapping has the key of a component, and says where its image is."""
    return scope.key in _COMPONENTS and 'imageRepository' in scope.entries


def is_component(scope: Scope) -> bool:
    """Whether a mapping is about a component of a cluster, so that the name of its image is not in it."""
    return may_be_component(scope) and any(is_cluster(each) for each in scope.around())


def component_images(cluster: Scope, names: RegistryNames) -> Iterator[_Made]:
    """(image, line, lines of other places that say a part of it) of the components of a cluster."""
    of_all = cluster.entries.get('imageRepository', [])
    components = [('coredns', each) for each in cluster.children.get('dns', ())]
    components += [
        ('etcd', local) for each in cluster.children.get('etcd', ()) for local in each.children.get('local', ())
    ]
    for name, scope in components:
        places = scope.entries.get('imageRepository') or of_all
        yield from _images((name,), scope, places, scope.entries.get('imageTag', []), names)
    versions = [Value(f'v{value.text.lstrip("v")}', value.line, file=value.file) for value in _versions(cluster)]
    yield from _images(_OF_KUBERNETES, cluster, of_all, versions, names)
    for value in of_all:
        for place in texts_of(value, cluster):
            if names.has(host_of(place.text)):
                yield Unresolved(place.text, _CHOSEN), value.line, place.lines


def _versions(cluster: Scope) -> Sequence[Value]:
    """The version of Kubernetes: Cluster API has it two mappings further out."""
    own = cluster.entries.get('kubernetesVersion')
    outer = cluster.parent.parent if cluster.key == 'clusterConfiguration' and cluster.parent else None
    return own or (outer.entries.get('version', []) if outer else [])


def _images(
    images: Sequence[str], scope: Scope, places: Sequence[Value], tags: Sequence[Value], names: RegistryNames
) -> Iterator[_Made]:
    for value in places:
        for place in texts_of(value, scope):
            for image in images:
                text = f'{place.text.rstrip("/")}/{image}'
                if not tags and names.has(host_of(place.text)):
                    yield Unresolved(text, _CHOSEN), value.line, place.lines
                for tag in (each for given in tags for each in texts_of(given, scope)):
                    for finding in find_references(f'{text}:{tag.text}', names):
                        yield finding, value.line, place.lines | tag.lines

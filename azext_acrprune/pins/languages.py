"""Which files are written in which language, by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .lines import Style

JSON_SUFFIXES = ('.json', '.jsonc', '.json5', '.jsonl', '.ndjson', '.sarif', '.webmanifest', '.tfstate')
YAML_SUFFIXES = ('.yaml', '.yml')
TEMPLATE_SUFFIXES = (
    '.gotmpl',
    '.tpl',
    '.j2',
    '.jinja',
    '.jinja2',
    '.tmpl',
    '.tftpl',
    '.template',
    '.erb',
    '.epp',
    '.ejs',
    '.eex',
)
DIRECTIVE_SUFFIXES = ('.erb', '.epp', '.ejs', '.eex')
BATCH_SUFFIXES = ('.bat', '.cmd')
XML_SUFFIXES = ('.xml', '.csproj', '.props', '.targets', '.sfproj', '.config')
DOCKERFILE = re.compile(r'(?:.*\.)?(?:dockerfile|containerfile|earthfile)(?:\..*)?\Z', re.IGNORECASE)

CODE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(('.tf', '.tfvars', '.hcl', '.nomad', '.jsonnet', '.libsonnet', '.php', '.nf'), ('#', '//')),
    **dict.fromkeys(
        [
            '.bicep',
            '.bicepparam',
            '.ts',
            '.tsx',
            '.js',
            '.jsx',
            '.mjs',
            '.cjs',
            '.go',
            '.java',
            '.kt',
            '.kts',
            '.scala',
            '.sbt',
            '.mts',
            '.cts',
            '.vue',
            '.zig',
            '.groovy',
            '.gradle',
            '.cs',
            '.fs',
            '.rs',
            '.cue',
            '.swift',
            '.dart',
            '.c',
            '.h',
            '.cpp',
            '.cc',
            '.jenkinsfile',
            '.pkl',
        ],
        ('//',),
    ),
    **dict.fromkeys(
        (
            '.py',
            '.rb',
            '.nix',
            '.bzl',
            '.bazel',
            '.k',
            '.star',
            '.ex',
            '.exs',
            '.jl',
            '.r',
            '.pp',
            '.wdl',
            '.pl',
            '.tcl',
        ),
        ('#',),
    ),
    **dict.fromkeys(('.hs', '.dhall', '.lua', '.sql'), ('--',)),
}
"""What begins the comments of the languages that are read as code."""

CODE_NAMES: Mapping[str, tuple[str, ...]] = {
    'jenkinsfile': ('//',),
    **dict.fromkeys(
        ('build', 'workspace', 'tiltfile', 'snakefile', 'vagrantfile', 'fastfile', 'rakefile', 'gemfile', 'capfile'),
        ('#',),
    ),
}
SETTINGS = Style(('#', ';', '!', '//'), sections=True)
LINES: Mapping[str, Style] = {
    **dict.fromkeys(('.ini', '.properties', '.conf', '.cfg', '.toml', '.container', '.service', '.kube'), SETTINGS),
    '.spdx': Style(packages=True),
    **dict.fromkeys(BATCH_SUFFIXES, Style(('rem ', '::', '@rem'), ('^',))),
    **dict.fromkeys(('.log', '.csv', '.tsv', '.patch', '.diff'), Style((), (), assigns=False)),
    '.rego': Style(assigns=False, explains=True),
    **dict.fromkeys(('.md', '.markdown', '.rst', '.adoc'), Style((), (), assigns=False, explains=True)),
}

DOCKERFILE_STYLE = Style(goes_on=('\\', '`'), stages=True, assigns=False)
TEMPLATE_STYLE = Style(('#', '{{/*', '{{- /*', '{#'))
EARTHFILE_STYLE = Style(stages=True, targets=True, assigns=False)

USES_NOTHING = re.compile(
    r'\.?renovate(?:rc)?(?:\..*)?\Z|dependabot\.ya?ml\Z|codeowners\Z|registries\.conf\Z|\.\w+ignore\Z'
)
"""Settings of tools that watch or leave out files, and run no image that these name."""

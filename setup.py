"""The wheel of the Azure CLI extension `acrprune`."""

from pathlib import Path

from setuptools import find_packages, setup

VERSION = '1.0.0b1'

ROOT = Path(__file__).parent
REQUIREMENTS = (ROOT / 'requirements.txt').read_text(encoding='utf-8').splitlines()

setup(
    name='acrprune',
    version=VERSION,
    description='Delete stale image data from Azure Container Registry safely, and know to the byte what it frees.',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license_expression='MIT',
    license_files=['LICENSE'],
    author='The acrprune authors',
    # The project has no public address of its own yet.
    project_urls={'Background': 'https://learn.microsoft.com/azure/container-registry/container-registry-delete'},
    classifiers=[
        'Development Status :: 4 - Beta',
        'Environment :: Console',
        'Intended Audience :: Developers',
        'Intended Audience :: System Administrators',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Programming Language :: Python :: 3.14',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['azext_acrprune', 'azext_acrprune.*']),
    package_data={
        'azext_acrprune': [
            'azext_metadata.json',
            'py.typed',
            'documents/schema/*.json',
            'policy/schema/*.json',
            'policy/examples/*.yaml',
            'show/templates/*',
        ]
    },
    install_requires=[line for line in REQUIREMENTS if line and not line.startswith('#')],
)

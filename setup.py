"""The wheel of the Azure CLI extension `acrprune`."""

from setuptools import find_packages, setup

VERSION = '1.0.0b1'

with open('README.md', encoding='utf-8') as readme, open('HISTORY.rst', encoding='utf-8') as history:
    LONG_DESCRIPTION = readme.read() + '\n\n' + history.read()

setup(
    name='acrprune',
    version=VERSION,
    description='Delete stale image data from Azure Container Registry safely, and know to the byte what it frees.',
    long_description=LONG_DESCRIPTION,
    long_description_content_type='text/markdown',
    license='MIT',
    author='The acrprune authors',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: System Administrators',
        'License :: OSI Approved :: MIT License',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['azext_acrprune', 'azext_acrprune.*']),
    package_data={
        'azext_acrprune': ['azext_metadata.json', 'policy/schema/*.json', 'policy/examples/*.yaml', 'show/templates/*']
    },
    install_requires=[
        'azure-containerregistry~=1.2',
        'fastjsonschema~=2.20',
        'jinja2~=3.1',
        'portalocker>=2.0',
        'regex>=2024.5.15',
        'squarify~=0.4.4',
    ],
)

"""Installs package dexpie_policy."""

from setuptools import find_packages, setup

PACKAGE = "dexpie_policy"

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Asynchronous policy inference node.",
    license="Apache-2.0",
    maintainer="DexPIE maintainers",
    maintainer_email="maintainers@dexpie.example",
    packages=find_packages(include=[PACKAGE, PACKAGE + ".*"]),
    package_data={"": ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + PACKAGE]),
        ("share/" + PACKAGE, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    entry_points={"console_scripts": ["policy_node = dexpie_policy.policy_node:main"]},
)

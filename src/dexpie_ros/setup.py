"""Installs package dexpie_ros."""

from setuptools import find_packages, setup

PACKAGE = "dexpie_ros"

setup(
    name=PACKAGE,
    version="0.1.0",
    description=(
        "What the nodes share: QoS, message factory, time stamps, diagnostics, "
        "parameters and the node's main."
    ),
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
)

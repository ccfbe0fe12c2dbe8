"""Installs package dexpie: the command line, launch files and parameters."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = "dexpie"

setup(
    name=PACKAGE,
    version="0.1.0",
    description=(
        "Bringup: description of the graph, supervisor, launch files, parameters and the command line."
    ),
    license="Apache-2.0",
    maintainer="DexPIE maintainers",
    maintainer_email="maintainers@dexpie.example",
    packages=find_packages(include=[PACKAGE, PACKAGE + ".*"]),
    package_data={"": ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + PACKAGE]),
        ("share/" + PACKAGE, ["package.xml"]),
        ("share/" + PACKAGE + "/launch", sorted(glob("launch/*.launch.py"))),
        ("share/" + PACKAGE + "/config", sorted(glob("config/*"))),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    entry_points={"console_scripts": ["dexpie = dexpie.__main__:main"]},
)

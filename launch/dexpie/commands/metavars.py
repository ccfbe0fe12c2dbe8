"""How the values of optional options are named in --help."""

import tyro

PATH = tyro.conf.arg(metavar="PATH")
SECONDS = tyro.conf.arg(metavar="SECONDS")

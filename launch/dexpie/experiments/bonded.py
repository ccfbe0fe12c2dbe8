"""Binds whoever imports it to its parent: the server that forks the steps dies with the runner."""

from dexpie.bound_exec import die_with_parent

die_with_parent()

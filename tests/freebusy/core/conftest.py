"""Hypothesis without its clock: no test of ours depends on how fast the machine is."""

from hypothesis import settings

settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")

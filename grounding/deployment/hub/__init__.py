"""Runs on a model hub: one is loaded by name, `python -m grounding.deployment.hub push` shares one."""

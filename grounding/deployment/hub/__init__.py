"""Runs on a model hub: `grounding.load("user/name")` fetches one, `python -m grounding.deployment.hub push` shares one."""

"""Configurations of strongSwan, read and said in ours."""

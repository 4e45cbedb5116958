"""Tests of mobike.policy."""

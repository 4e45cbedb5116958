"""Tests of mobike.fleet."""

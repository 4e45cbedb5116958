"""Tests of mobike.mobility."""

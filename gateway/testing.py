"""Test help that ships with the package."""

"""Benchmarks. ``make bench`` runs them; bench/README.md says how to read them."""

"""Simulated citizens: stories over several channels whose truth is known, run through the real thing and checked."""

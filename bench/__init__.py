"""Benchmarks: measured sides beside each other, in interleaved rounds, with counts next to times."""

"""Unit tests of models: rows in, the run of production on a lake of the test's own, rows out."""

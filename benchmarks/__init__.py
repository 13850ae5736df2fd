"""Speed questions, one a file; each is run with `python -m benchmarks.<name>` from the root of the repository."""

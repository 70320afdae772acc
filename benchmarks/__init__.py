"""Speed and quality beside the peers, in one run. Each file is a module: python -m benchmarks.NAME [--json]."""

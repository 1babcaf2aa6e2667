"""Benchmarks: `python3 dev.py bench NAME`. Ratios within one run, because machines differ and have moods."""

PATH = "/api/cart"
"""An address that the front door's allowlist knows; under the benchmark an empty view answers there."""

CPU_SECONDS = "X-Cpu-Seconds"
"""As a case: asks the benchmark's server what CPU time it has used. As a header: its answer."""

AS_OWNER = "HOLDFAST_BENCH_AS_OWNER"
"""As an environment variable: the benchmark's server runs its statements with the rights of the tables' owner."""

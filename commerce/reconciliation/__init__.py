"""Sales that were recorded elsewhere, taken over once and never guessed at (O3)."""

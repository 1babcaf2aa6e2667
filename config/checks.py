"""System checks: contradictions in the settings, each with its fix."""

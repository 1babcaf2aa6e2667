#!/usr/bin/env python3
"""Django's command line. In development run it as `python3 dev.py manage …`, which supplies the environment."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    execute_from_command_line(sys.argv)

"""The work of the commands that drive the platform: run, demo, status, doctor, up.

Each command imports its own module alone, so that one which only reads loads no library that
another builds with.
"""

"""The operator's view of a running worker over HTTP: health, metrics, the dashboard, control.

Must not: decide anything, or hold up whoever does. It shows what was copied for it.
"""

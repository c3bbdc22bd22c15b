"""The kinds of a torture run (tools/torture.py), one module each, and the page that shows their figures."""

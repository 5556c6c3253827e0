"""What is wrong with a model: skews, failing slices, shortcuts, memorised text, with intervals.

Read audit.py (a Check, an Effect, an Audit) and standard_checks.py; statistics.py has the
intervals, each other file is one kind of defect, planted.py is a model that has one on purpose.
"""

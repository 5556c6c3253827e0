"""Controls on a model: each with what it changes, what it leaves and what it costs.

Read mending.py and side_effects.py (how a control is judged); each other file is one control.
"""

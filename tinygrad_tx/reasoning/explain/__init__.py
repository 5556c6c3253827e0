"""Why a model says what it says: lenses, attribution, attention, the parts of its logits.

Read lens.py, attribution.py and direct.py, each alone; stream.py and target.py are what they
share.
"""

"""How far to trust a model, and what explains it: calibration, probes, faithfulness.

Each file stands alone; intervals.py is what they share. Read calibration.py, probes.py or
faithfulness.py.
"""

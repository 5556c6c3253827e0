"""How far to trust a model, and what explains it: calibration, probes, faithfulness."""

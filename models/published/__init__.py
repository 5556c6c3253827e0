"""Published weights: the files they come in, and what their parameters are called here."""

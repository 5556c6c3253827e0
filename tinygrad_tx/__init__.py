"""tinygrad_tx: one graph that is trained, drawn, checked and looked into."""

"""Controls on a model: each with what it changes, what it leaves and what it costs."""

"""What is wrong with a model: skews, failing slices, shortcuts, memorised text, with intervals."""

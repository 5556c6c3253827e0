"""Reports: what was found in a model, on one offline page and as JSON."""

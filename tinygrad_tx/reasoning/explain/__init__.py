"""Why a model says what it says: lenses, attribution, attention, the parts of its logits."""

# %% [markdown]
# # Understand a model
#
# A small GPT learns sentences in which engineers are mostly *he* and nurses mostly *she*. We
# planted that, so we can see whether the tools find it. The page [Understand a model, and mend
# it](../guides/understanding.md) goes on to audits and corrections; here we stay with one
# prediction and look at it from several sides.

# %%
import numpy as np

import tinygrad_tx as tx
from tinygrad_tx import reasoning

text = tx.data.skewed_text()
sizes = reasoning.Training(heads=2, width=32, steps=800, learning_rate=1e-2)
model = reasoning.trained_on(text, sizes)
units = text.units
model

# %% [markdown]
# ## The prediction
#
# What comes after "everyone knew the engineer and"?


# %%
def tokens(sentence):
    return np.array([units.encode(sentence)])


he, she = (units.encode(word)[0] for word in ("he", "she"))
engineer = tokens("everyone knew the engineer and")
nurse = tokens("everyone knew the nurse and")
for name, prompt in (("engineer", engineer), ("nurse", nurse)):
    chances = tx.softmax(model(prompt)[0, -1]).numpy()
    best = ", ".join(f"{units.decode([t])} {chances[t]:.0%}" for t in np.argsort(-chances)[:3])
    print(f"{name}: {best}")

# %% [markdown]
# ## What has a name
#
# Values inside are points with names and axes. Any of them can be captured by name or pattern.
# Nothing had to be prepared for that when the model was made.

# %%
reasoning.capture(model, engineer, ["blocks.*.attention.pattern", "*residual_after_feed_forward"])

# %% [markdown]
# ## Layer by layer
#
# The *logit lens* asks of each layer what the model would say if it ended there. At the first it
# looks at the last word alone, "and"; the occupation comes in later.

# %%
lens = reasoning.logit_lens(model, engineer, token=he, words=3, tokenizer=units)
lens

# %% [markdown]
# ## From which words?
#
# *Integrated gradients* share out a number among the words: here the logit of *he* less that of
# *she*. They ask how this text differs from another one, the baseline; ours is the nurse's. What
# they give sums to what the number changes between both, which is how to check them.

# %%
target = reasoning.Target(he, against=she)
sources = reasoning.integrated_gradients(
    model, engineer, target, baseline=model.embedding(nurse)[0].numpy(), tokenizer=units
)
sources

# %%
sources.picture()

# %% [markdown]
# ## By which parts?
#
# The logit is a sum of what the embedding, each head and each feed-forward network add to the last
# place. This is no estimate: the sum is the model's own logit, to rounding.

# %%
parts = reasoning.direct_attribution(model, engineer, he, she, tokenizer=units)
parts

# %%
reasoning.completeness(parts)

# %% [markdown]
# ## Where heads look
#
# The weights of one head of the first layer, the one that will turn out to matter. A row is a
# word that looks, a column one that is looked at.

# %%
patterns = reasoning.attention_patterns(model, engineer, tokenizer=units)
patterns.picture("blocks.0.attention.pattern", 1)

# %% [markdown]
# ## What matters, by trying
#
# All of this describes. To know what a part *does*, change it. First each head is taken away; the
# number is how much *he* is ahead of *she* then.


# %%
def ahead(logits):
    return float((logits[0, -1, he] - logits[0, -1, she]).item())


print(f"as it is: {ahead(model(engineer)):+.2f}; for the nurse {ahead(model(nurse)):+.2f}")
for layer in range(2):
    for head in range(2):
        change = {f"blocks.{layer}.attention.context": reasoning.zero(heads=head)}
        left = ahead(reasoning.intervene(model, engineer, change))
        print(f"without head {layer}.{head}: {left:+.2f}")

# %% [markdown]
# Then *patching*: the model reads about the nurse, and one value at a time is put in from its
# reading of the engineer. 1 means that this value alone brings the whole difference back. Before
# the first layer the difference stands at the occupation, place 3; behind it, at the last word,
# place 4: the head that is missed above has carried it there.

# %%
metric = reasoning.LogitDifference([he], [she])
patched = reasoning.activation_patching(
    model, engineer, nurse, metric, at=["blocks.0.residual_before", "*residual_after_feed_forward"]
)
patched.table(most=6)

# %% [markdown]
# ## The circuit
#
# Which connections between parts does it take? `discover_circuit` ranks all of them, keeps the
# fewest that keep the difference, and measures what is left with all others cut.

# %%
frames = ("everyone knew the {} and", "people asked the {} whether", "yesterday the {} left since")
clean, other = (
    np.array([units.encode(f.format(who)) for f in frames]) for who in ("engineer", "nurse")
)
metric = reasoning.LogitDifference([he] * len(frames), [she] * len(frames))
circuit = reasoning.discover_circuit(model, clean, other, metric, faithful=0.9)
kept, left = circuit.faithfulness.value, circuit.rest.value
print(f"{len(circuit.edges)} connections keep {kept:.0%} of the difference; without, {left:.0%}")
reasoning.draw_circuit(circuit)

# %% [markdown]
# The same on a real model: `tinygrad-tx explain smollm2 --text "The capital of France is" --out
# why.html`.

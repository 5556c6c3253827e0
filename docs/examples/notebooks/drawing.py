# %% [markdown]
# # Drawing
#
# `tx.draw` shows a graph: of an expression, a function, a module, a recorded training step. What
# is drawn is what is run; there is no second description of a model that could be wrong. In a
# notebook a drawing shows itself; with a path it is also written, as .svg, .png, .pdf, .dot, .mmd
# (Mermaid) or .html (an offline page whose boxes open).
#
# ## An expression

# %%
import numpy as np

import tinygrad_tx as tx

x = tx.tensor(np.ones((2, 3)), requires_grad=True)
tx.draw(tx.log(tx.exp(x).sum(axis=-1)), view="ops", overlay="shapes")

# %% [markdown]
# ## A function
#
# Inputs say of which shapes; only shapes matter here.


# %%
def attention(q, k, v):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return tx.softmax(scores, axis=-1) @ v


q = np.zeros((4, 8), np.float32)
tx.draw(attention, inputs=(q, q, q), view="ops")

# %% [markdown]
# ## A module
#
# Boxes are modules, arrows are what flows between them. Repeated blocks are drawn once, with their
# number.

# %%
config = tx.models.GPTConfig(vocab_size=65, context=32, layers=2, heads=4, width=64)
gpt = tx.models.GPT(config)
tokens = np.arange(32)[None] % 65
tx.draw(gpt, inputs=(tokens,), overlay="shapes")

# %% [markdown]
# `depth` opens more of it, down to the inside of attention. The overlay puts figures into the
# boxes: `"parameters"`, `"flops"`, `"time"`, `"memory"`, or a dictionary of your own.

# %%
tx.draw(gpt, inputs=(tokens,), depth=3, overlay="flops")

# %% [markdown]
# ## What the compiler does with it
#
# A recorded function is planned as a whole. `view="rewrite"` lays the graph before and after
# passes side by side; here elementwise operations become one kernel.


# %%
def loss(x, w):
    return (tx.gelu(x @ w) * 2 + 1).sum()


a, w = np.ones((8, 16), np.float32), np.ones((16, 4), np.float32)
tx.draw(loss, inputs=(a, w), view="rewrite", passes="fuse")

# %% [markdown]
# `view="memory"` shows when each value lives, and where: what is dead gives its place to what
# comes.

# %%
optimizer = tx.optim.AdamW(gpt.parameters())


@tx.jit
def step(tokens, targets):
    optimizer.zero_grad()
    loss = gpt.loss(tokens, targets)
    loss.backward()
    optimizer.step()
    return loss


tx.draw(step, inputs=(tokens[:, :-1], tokens[:, 1:]), view="memory")

# %% [markdown]
# ## On real input
#
# Some overlays run the graph: where heads look, how large values and gradients are, where the
# first NaN arises.

# %%
tx.draw(gpt, inputs=(tokens[:, :8],), depth=3, overlay="attention")

# %% [markdown]
# ## Any size, any language
#
# A model by shape alone takes no memory: this one would have 530 billion parameters. Words are in
# English or Chinese, colours light or dark.

# %%
tx.draw(tx.models.abstract("mt-nlg-530b"), overlay="parameters", lang="zh")

# %% [markdown]
# ## Into a paper
#
# A PDF needs Graphviz itself; everything else is drawn without it.

# %%
import shutil

drawing = tx.draw(gpt, "gpt.html", inputs=(tokens,))
if shutil.which("dot"):
    drawing.save("gpt.pdf")
print(drawing.mermaid[:160])

# %% [markdown]
# All views of all models: the [gallery](../gallery.md).

# %% [markdown]
# # The first hour
#
# From one number with a gradient to a small GPT that was trained, drawn and looked into. Each cell
# runs in a few seconds on a laptop; nothing is downloaded.
#
# ## Tensors
#
# A tensor is an array that remembers how it was made. What is written on it follows NumPy and the
# array API standard; `np.asarray(tensor)` gives the numbers back.

# %%
import numpy as np

import tinygrad_tx as tx

x = tx.tensor([[1.0, 2.0], [3.0, 4.0]])
tx.softmax(x @ x.T, axis=-1)

# %% [markdown]
# ## Gradients
#
# Ask for gradients of a tensor, compute one number from it, call `backward`: then `grad` says how
# that number moves when each element moves.

# %%
w = tx.tensor([1.0, -2.0, 0.5], requires_grad=True)
loss = (tx.tanh(w) ** 2).sum()
loss.backward()
w.grad

# %% [markdown]
# Is it right? A difference quotient is the judge: move one element a little, see what happens.

# %%
step = 1e-3
moved = [(np.tanh(w.numpy() + step * e) ** 2).sum() for e in np.eye(3)]
still = [(np.tanh(w.numpy() - step * e) ** 2).sum() for e in np.eye(3)]
print("differences", np.round((np.array(moved) - still) / (2 * step), 4))
print("gradient   ", np.round(w.grad.numpy(), 4))

# %% [markdown]
# Functions of functions work as well, of any order: `tx.grad(f)` is the derivative of `f`, and
# `tx.hessian(f)` the matrix of its second derivatives.

# %%
tx.hessian(lambda v: (tx.tanh(v) ** 2).sum())(w.detach())

# %% [markdown]
# ## Modules
#
# A module keeps parameters and parts as attributes and says in `forward` what they compute. This
# one learns a curve.


# %%
class Curve(tx.nn.Module):
    def __init__(self, width):
        super().__init__()
        rng = np.random.default_rng(0)
        self.first = tx.nn.Linear(1, width, rng, deviation=2.0)
        self.second = tx.nn.Linear(width, 1, rng, deviation=width**-0.5)

    def forward(self, x):
        return self.second(tx.tanh(self.first(x)))


curve = Curve(32)
curve

# %% [markdown]
# ## A training step, recorded once
#
# `tx.jit` runs the function once to see what it does, plans kernels and memory for the whole of it
# (forward, backward, optimiser), and from then on replays that plan.

# %%
optimizer = tx.optim.Adam(curve.parameters(), lr=1e-2)


@tx.jit
def fit(x, y):
    optimizer.zero_grad()
    loss = ((curve(x) - y) ** 2).mean()
    loss.backward()
    optimizer.step()
    return loss


points = np.linspace(-3, 3, 64, dtype=np.float32)[:, None]
values = np.sin(points)
for _ in range(500):
    loss = fit(points, values)
print(f"mean square error {loss.item():.5f}; of the best constant {values.var():.5f}")

# %% [markdown]
# What the plan is made of:

# %%
fit.plan(points, values)

# %% [markdown]
# ## A transformer, drawn
#
# A GPT on the characters of the language reference that every Python carries. The picture is made
# from the graph that will be trained: repeated blocks are folded.

# %%
text = tx.data.default_text()
tokenizer = tx.data.CharTokenizer.train(text)
learnt, held_out = tx.data.split(tokenizer.encode(text))
config = tx.models.GPTConfig(tokenizer.vocab_size, context=48, layers=2, heads=4, width=64)
model = tx.models.GPT(config)
model

# %%
tx.draw(model, inputs=(np.zeros((1, 48), np.int64),))

# %% [markdown]
# ## Train it
#
# The loop is the one from above. The measure of what it learns is a bigram model: counts of which
# character follows which.

# %%
optimizer = tx.optim.AdamW(model.parameters())
batches = tx.data.Windows(learnt, batch=16, context=48)
steps = 600
rate = tx.optim.cosine(3e-3, steps, warmup=20)


@tx.jit
def train(tokens, targets):
    optimizer.zero_grad()
    loss = model.loss(tokens, targets)
    loss.backward()
    tx.optim.clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()
    return loss


losses = []
for number in range(steps):
    optimizer.lr = rate(number)
    losses.append(train(*batches.draw()).item())

model.eval()
exam = list(tx.data.Windows(held_out, 16, 48).in_order(most=8))
with tx.no_grad():
    final = np.mean([model.loss(*batch).item() for batch in exam])
bigram = tx.data.bigram_loss(learnt, held_out, tokenizer.vocab_size)
print(f"held out: {final:.2f} nats a character; bigram counts {bigram:.2f}")

# %% [markdown]
# After so few steps it spells, more or less, and has nothing to say: that takes ten times as many,
# and a wider model ([train_gpt.py](train_gpt.py)). It writes token by token, keeping the keys and
# values of what it has read.

# %%
pieces = tx.models.write(model, tokenizer, "The ", 200, temperature=0.7, seed=0)
print("The " + "".join(pieces))

# %% [markdown]
# ## Look inside
#
# Every value inside has a name. What does each head do for the prediction? Take it away and see
# how much the loss of the exam rises.

# %%
from tinygrad_tx import reasoning

tokens, targets = exam[0]
whole = model.loss(tokens, targets).item()
costs = {}
for layer in range(2):
    for head in range(4):
        without = {f"blocks.{layer}.attention.context": reasoning.zero(heads=head)}
        logits = reasoning.intervene(model, tokens, without)
        costs[layer, head] = tx.cross_entropy(logits, targets).item() - whole
        print(f"without head {layer}.{head}: {costs[layer, head]:+.3f} nats a character")

# %% [markdown]
# The one that is missed most, on some words: where did each character look while the model read
# them? A row is a character that looks, a column one that is looked at.

# %%
layer, head = max(costs, key=costs.get)
sentence = tokenizer.encode("a list of")[None]
patterns = reasoning.attention_patterns(model, sentence, tokenizer=tokenizer)
patterns.picture(f"blocks.{layer}.attention.pattern", head)

# %% [markdown]
# Values are tensors of the same graph: they can be read, changed and differentiated.

# %%
reasoning.capture(model, sentence, "blocks.0.attention.*")

# %% [markdown]
# From here: [attention by hand](attention_by_hand.ipynb), [drawing](drawing.ipynb), [understand a
# model](understand_a_model.ipynb), and the scripts in this folder.

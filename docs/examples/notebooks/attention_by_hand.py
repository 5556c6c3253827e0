# %% [markdown]
# # Attention by hand
#
# Attention is a look-up: a *query* says what is wanted, *keys* say what is there, *values* are
# what is handed over. Nothing about it has to be learnt to see how it works, so the weights below
# are written by hand, with a picture at each step. At the end the same weights are learnt from
# examples.
#
# The task: four facts, "ben is in the kitchen", and a question, "where is ben?".

# %%
import matplotlib.pyplot as plt
import numpy as np
from matplotlib_inline.backend_inline import set_matplotlib_formats

import tinygrad_tx as tx

set_matplotlib_formats("svg", metadata={"Date": None})
plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "attention"})

people = ["anna", "ben", "cleo", "dan"]
places = ["garden", "harbour", "kitchen", "library"]


def heat(numbers, rows, columns, title):
    """Numbers as colours, with the numbers in them."""
    numbers = np.asarray(numbers)
    size = (1.6 + 0.75 * len(columns), 1.1 + 0.4 * len(rows))
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    top = max(1e-9, np.abs(numbers).max())
    axes.imshow(numbers, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    for (i, j), value in np.ndenumerate(numbers):
        light = abs(value) > 0.6 * top
        axes.text(j, i, f"{value:.2g}", ha="center", va="center", color="w" if light else "k")
    axes.set_title(title, fontsize=10)
    plt.show()


# %% [markdown]
# ## Facts as vectors
#
# Each fact is one vector, as a token is in a transformer: four numbers for who, four for where.

# %%
where = np.array([2, 0, 3, 1])  # anna: kitchen, ben: garden, cleo: library, dan: harbour
facts = np.concatenate([np.eye(4), np.eye(4)[where]], axis=1).astype(np.float32)
names = [f"{who} is in the {places[i]}" for who, i in zip(people, where, strict=True)]
heat(facts, names, people + places, "facts (facts × 8)")

# %% [markdown]
# ## Keys, values, queries
#
# Three linear maps choose what of a vector plays which part. The key of a fact is *who* it is
# about, its value *where* that is. A question has only a who; its query is that.

# %%
who_part = np.eye(8, dtype=np.float32)[:, :4]  # (8, 4): takes the first four numbers
where_part = np.eye(8, dtype=np.float32)[:, 4:]  # (8, 4): takes the last four

questions = np.concatenate([np.eye(4), np.zeros((4, 4))], axis=1).astype(np.float32)
queries = tx.tensor(questions) @ who_part
keys = tx.tensor(facts) @ who_part
values = tx.tensor(facts) @ where_part

asked = [f"where is {who}?" for who in people]
scores = queries @ keys.T
heat(scores, asked, names, "scores: query · key")

# %% [markdown]
# A score is large where question and fact are about the same person.
#
# ## From scores to weights
#
# `softmax` makes each row positive and its sum 1: shares of attention. How decided it is depends
# on how large the scores are. Here they are at most 1, and the look-up is a blur; eight times as
# large, it is nearly a choice. (A transformer divides by the root of the key's width, so that
# scores of wide random vectors are not too large to begin with; learnt weights can be as large as
# they need to be.)

# %%
heat(tx.softmax(scores, axis=-1), asked, names, "softmax of the scores: a blur")

# %%
sharp = 8.0
pattern = tx.softmax(scores * sharp, axis=-1)
heat(pattern, asked, names, "softmax of 8 × the scores: nearly a choice")

# %% [markdown]
# ## The answer
#
# What comes out is the values, mixed by those weights.

# %%
answers = pattern @ values
heat(answers, asked, places, "answers: pattern · values")
for who, row in zip(people, answers.numpy(), strict=True):
    print(f"where is {who}? {places[row.argmax()]}")

# %% [markdown]
# That was all of it. `tx.attention` computes the same in one kernel that never writes the pattern
# to memory; the pattern is opened only where someone asks for it.

# %%
one_head = [t.reshape(1, 1, 4, 4) for t in (queries, keys, values)]  # (batch, heads, time, width)
fused = tx.attention(*one_head, scale=sharp)
print("largest difference", float(abs(fused.reshape(4, 4) - answers).max().item()))
assert abs(fused.reshape(4, 4) - answers).max().item() < 1e-6

# %% [markdown]
# ## A mask
#
# A model that writes must not see what comes later: scores to the right of the diagonal become
# minus infinity, their weights zero. Now cleo's and dan's facts are out of sight for the first
# questions, whose shares go to what is left.

# %%
later = np.triu(np.ones((4, 4), bool), k=1)
hidden = tx.where(later, -np.inf, scores * sharp)
heat(tx.softmax(hidden, axis=-1), asked, names, "causal: no look at what comes later")
causal = tx.attention(*one_head, scale=sharp, causal=True).reshape(4, 4)
assert abs(causal - tx.softmax(hidden, axis=-1) @ values).max().item() < 1e-6

# %% [markdown]
# ## Where does an answer come from?
#
# All of this is differentiable. How does the number for *garden* in the answer about ben move when
# a score moves? It grows with the score of ben's own fact, and falls with the others, as shares
# sum to 1.


# %%
def garden(s):
    return (tx.softmax(s * 2.0, axis=-1) @ values)[1, 0]


heat(tx.grad(garden)(scores.detach()), asked, names, "derivative of ben's garden by each score")

# %% [markdown]
# ## Learn it
#
# Now the maps are random, and facts and questions are drawn anew at each step. The loss asks for
# the right place, nothing else: nobody says where to look.


# %%
class LookUp(tx.nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.query = tx.nn.Linear(8, 8, rng, bias=False, deviation=0.3)
        self.key = tx.nn.Linear(8, 8, rng, bias=False, deviation=0.3)
        self.value = tx.nn.Linear(8, 4, rng, bias=False, deviation=0.3)

    def pattern(self, questions, facts):
        scores = self.query(questions) @ self.key(facts).mT  # (batch, questions, facts)
        return tx.softmax(scores / 8**0.5, axis=-1)

    def forward(self, questions, facts):
        return self.pattern(questions, facts) @ self.value(facts)


def draw(count, rng):
    """Facts in any order, a question for each, and the place that is right."""
    order = rng.permuted(np.tile(np.arange(4), (count, 1)), axis=1)
    where = rng.integers(0, 4, (count, 4))
    facts = np.concatenate([np.eye(4)[order], np.eye(4)[where]], -1).astype(np.float32)
    right = np.take_along_axis(where, np.argsort(order, 1), 1)  # of anna, ben, cleo, dan
    return np.broadcast_to(questions, (count, 4, 8)).copy(), facts, right


model = LookUp()
before = model.pattern(tx.tensor(questions), tx.tensor(facts))
heat(before, asked, names, "before: everybody looks everywhere")

# %%
optimizer = tx.optim.Adam(model.parameters(), lr=0.02)


@tx.jit
def step(questions, facts, right):
    optimizer.zero_grad()
    loss = tx.cross_entropy(model(questions, facts), right)
    loss.backward()
    optimizer.step()
    return loss


rng = np.random.default_rng(0)
losses = [step(*draw(32, rng)).item() for _ in range(600)]
asked_of, facts_of, right = draw(500, rng)
guesses = model(tx.tensor(asked_of), tx.tensor(facts_of)).numpy().argmax(-1)
print(f"right {np.mean(guesses == right):.1%}; by chance 25%")
assert np.mean(guesses == right) > 0.95

after = model.pattern(tx.tensor(questions), tx.tensor(facts))
heat(after, asked, names, "after: the diagonal, as written by hand")

# %% [markdown]
# What was learnt is what was written above: the query and the key meet on *who*. Their product
# says for each pair of numbers how much it adds to a score; what counts is the quarter of who with
# who.

# %%
meeting = model.query.weight @ model.key.weight.T
heat(meeting, people + places, people + places, "query map · key map (8 × 8)")

# %% [markdown]
# The graph of it, each box an operation:

# %%
tx.draw(model, inputs=(questions[None], facts[None]), view="ops", overlay="shapes")

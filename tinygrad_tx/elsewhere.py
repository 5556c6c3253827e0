"""What things are called in other libraries, as what to write here. No second names: only what an
error says where a name or an argument is missing (see missing.py).

`x` is a tensor, `model` a module and `tx` this package; a test looks up all names in the remedies.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ARGUMENTS", "MISSING", "MODULE", "OPTIMIZER", "PACKAGES", "TENSOR"]

ONE_DEVICE = "leave it out: everything here is on the CPU"
NO_HOOKS = "read and change values inside with tx.reasoning.capture and tx.reasoning.intervene"
NEVER_IN_PLACE = "tensors are immutable: compute a new one, or x.assign_(value) for a parameter"
OF_A_FOLDER = "use model.save_pretrained(folder) and tx.models.GPT.from_pretrained(folder)"
OWN_TRAINING = "use tx.train.fit, or a loop with tx.optim.AdamW(model.parameters())"
DATA = "use tx.data.Windows for text, tx.data.Examples for rows of arrays"
TRANSFORMERS = "build it of tx.nn.MultiHeadAttention and tx.nn.FeedForward, or take tx.models.GPT"

TENSOR: Mapping[str, str] = {
    "add_": NEVER_IN_PLACE,
    "at": "tensors are immutable: tx.where(mask, value, x) or tx.scatter_add makes a new one",
    "bool": "use x.astype(tx.bool_)",
    "clone": "leave it out: tensors are immutable, so that no copy is needed",
    "contiguous": "leave it out: memory is laid out where it is needed",
    "copy": "leave it out: tensors are immutable; for an array of your own x.numpy().copy()",
    "cpu": ONE_DEVICE,
    "cuda": ONE_DEVICE,
    "data": "use x.numpy() to read, x.assign_(value) for new contents of a parameter",
    "dim": "use x.ndim",
    "double": "use x.astype(tx.float64)",
    "expand": "use x.broadcast_to(shape)",
    "fill_": NEVER_IN_PLACE,
    "flatten": "use x.reshape(-1), or x.reshape(x.shape[0], -1) to keep the batch",
    "float": "use x.astype(tx.float32)",
    "gather": "use tx.take_along_axis(x, indices, axis)",
    "get_device": ONE_DEVICE,
    "grad_fn": 'tx.draw(x, view="ops") shows what it was computed from',
    "half": "use x.astype(tx.float16), for storage: convert back before computing",
    "int": "use x.astype(tx.int32)",
    "is_cuda": ONE_DEVICE,
    "long": "use x.astype(tx.int64)",
    "masked_fill": "use tx.where(mask, value, x)",
    "matmul": "use x @ y",
    "mm": "use x @ y",
    "bmm": "use x @ y: leading axes are the batch",
    "mul_": NEVER_IN_PLACE,
    "norm": "use (x * x).sum().sqrt()",
    "numel": "use x.size, which is a number here",
    "permute": "use x.permute_dims(2, 0, 1), with your order of the axes",
    "repeat": "use tx.tile(x, repetitions), or tx.repeat(x, n, axis) for each element",
    "retain_grad": "ask for it: tx.grad(f)(x), or tx.reasoning.gradients for points of a model",
    "sub_": NEVER_IN_PLACE,
    "t": "use x.T",
    "to": "use x.astype(dtype) for an element type; everything here is on the CPU",
    "transpose": "use x.swapaxes(0, 1), with your two axes; x.T turns all of them around",
    "type": "use x.dtype, x.astype(dtype)",
    "type_as": "use x.astype(y.dtype)",
    "uniform_": "use tx.rand(shape)",
    "unsqueeze": "use x[None] or x.expand_dims(axis)",
    "view": "use x.reshape(shape)",
    "view_as": "use x.reshape(y.shape)",
    "zero_": "use optimizer.zero_grad() for gradients, tx.zeros_like(x) for new zeros",
}
"""Of a tensor."""

OPTIMIZER: Mapping[str, str] = {
    "add_param_group": "give all parameters at once, with factors= for rates of their own",
    "minimize": "call loss.backward() and optimizer.step()",
    "param_groups": "set optimizer.lr; factors= gives parameters rates of their own",
}
"""Of an optimiser."""

MODULE: Mapping[str, str] = {
    "add_module": "set it as an attribute: model.name = part",
    "append": "give all parts at once: tx.nn.ModuleList([first, second])",
    "apply": "go through model.named_modules()",
    "bfloat16": "use model.astype(tx.float32): halves are for storage alone",
    "buffers": "keep what is not trained as any attribute",
    "compile": "use step = tx.jit(function) around what is called often",
    "cpu": ONE_DEVICE,
    "cuda": ONE_DEVICE,
    "double": "use model.astype(tx.float64)",
    "encode": "a model takes tokens: use the tokenizer's encode, as tx.data.ByteTokenizer().encode",
    "fit": OWN_TRAINING,
    "float": "use model.astype(tx.float32)",
    "half": "weights are float32 or float64: model.astype(tx.float32)",
    "load": OF_A_FOLDER,
    "modules": "go through model.named_modules()",
    "named_children": "use model.children(), which gives pairs of name and part",
    "predict": "call it: model(tokens) gives logits",
    "push_to_hub": OF_A_FOLDER,
    "register_backward_hook": NO_HOOKS,
    "register_buffer": "keep what is not trained as any attribute: model.name = tensor",
    "register_forward_hook": NO_HOOKS,
    "register_full_backward_hook": NO_HOOKS,
    "register_parameter": "set it as an attribute: model.name = tx.zeros(n, requires_grad=True)",
    "requires_grad_": "train.fit takes rates=tx.optim.frozen(name); an optimiser what shall learn",
    "save": OF_A_FOLDER,
    "summary": "use print(model.num_parameters()), tx.draw(model, inputs=(...))",
    "tie_weights": "use one and the same tensor as both attributes",
    "to": "use model.astype(dtype) for an element type; everything here is on the CPU",
    "train_step": OWN_TRAINING,
    "zero_grad": "use optimizer.zero_grad()",
}
"""Of a module."""

_ACTIVATION = "it is a function: tx.{name}(x), as in `def forward(self, x): return tx.{name}(x)`"
_NO_LAYER = "this is a library of transformers: its layers are tx.nn.Linear, tx.nn.LayerNorm"

PACKAGES: Mapping[str, Mapping[str, str]] = {
    "tinygrad_tx": {
        "array": "use tx.tensor(data)",
        "autograd": "use tx.grad, tx.vjp, tx.no_grad(); tx.custom_op for an operator of your own",
        "bmm": "use x @ y, or tx.matmul(x, y): leading axes are the batch",
        "cat": "use tx.concat([x, y], axis=0)",
        "chunk": "use tx.split(x, pieces, axis)",
        "clamp": "use tx.clip(x, min, max)",
        "compile": "use tx.jit(function)",
        "concatenate": "use tx.concat([x, y], axis=0)",
        "cuda": "everything here is on the CPU",
        "device": ONE_DEVICE,
        "double": "use tx.float64",
        "enable_grad": "gradients are asked for outside of tx.no_grad()",
        "exp_": NEVER_IN_PLACE,
        "float": "use tx.float32, or tx.float64",
        "FloatTensor": "use tx.tensor(data)",
        "LongTensor": "use tx.tensor(data), tx.int64 for Python integers",
        "from_numpy": "use tx.asarray(array), which shares its memory, or tx.tensor, which copies",
        "gather": "use tx.take_along_axis(x, indices, axis)",
        "half": "use tx.float16, for storage: convert back before computing",
        "inference_mode": "use tx.no_grad()",
        "int": "use tx.int32, or tx.int64",
        "is_tensor": "use isinstance(x, tx.Tensor)",
        "load": OF_A_FOLDER,
        "long": "use tx.int64",
        "mm": "use x @ y, or tx.matmul(x, y)",
        "multinomial": "use model.generate(tokens, n), or tx.models.Sampling().draw",
        "normal": "use tx.randn(shape)",
        "numpy": "names are in tx itself: tx.sum, tx.exp",
        "permute": "use tx.permute_dims(x, axes)",
        "rand_like": "use tx.rand(x.shape)",
        "randn_like": "use tx.randn(x.shape)",
        "save": OF_A_FOLDER,
        "seed": "use tx.manual_seed(seed)",
        "set_grad_enabled": "use tx.no_grad()",
        "transpose": "use tx.swapaxes(x, 0, 1), or tx.permute_dims(x, axes)",
        "unsqueeze": "use tx.expand_dims(x, axis)",
        "utils": DATA,
        "vmap": "give the function a leading axis: operators broadcast over it",
        "zeros_": NEVER_IN_PLACE,
    },
    "tinygrad_tx.nn": {
        "BCELoss": "use tx.cross_entropy(logits, targets) over two classes",
        "BatchNorm1d": "use tx.nn.LayerNorm(width)",
        "CrossEntropyLoss": "it is a function: tx.cross_entropy(logits, targets)",
        "DataParallel": "run it under mpirun: tinygrad-tx train, or tx.train.fit(group=)",
        "Identity": "leave it out, or `lambda x: x`",
        "ModuleDict": "set the parts as attributes, or tx.nn.ModuleList(parts)",
        "MultiheadAttention": "it is tx.nn.MultiHeadAttention(width, heads, rng)",
        "Parameter": "use tx.tensor(data, requires_grad=True) as an attribute of the module",
        "ParameterList": "set the parameters as attributes: self.first, self.second",
        "Sequential": "write forward: `return self.second(tx.relu(self.first(x)))`; for a list "
        "tx.nn.ModuleList(parts)",
        "functional": "the functions are in tx itself: tx.relu, tx.softmax, tx.cross_entropy",
        "init": "weights start as tx.nn.Linear does it; others with weight.assign_(array)",
        "utils": "use tx.optim.clip_grad_norm(parameters, largest)",
        **{
            name: _ACTIVATION.format(name=function)
            for name, function in (
                ("GELU", "gelu"),
                ("LogSoftmax", "log_softmax"),
                ("ReLU", "relu"),
                ("SiLU", "silu"),
                ("Sigmoid", "sigmoid"),
                ("Softmax", "softmax"),
                ("Tanh", "tanh"),
            )
        },
        **dict.fromkeys(
            ("Conv1d", "Conv2d", "GRU", "LSTM", "MaxPool2d", "RNN", "BatchNorm2d"), _NO_LAYER
        ),
        **dict.fromkeys(
            (
                "Transformer",
                "TransformerDecoderLayer",
                "TransformerEncoder",
                "TransformerEncoderLayer",
            ),
            TRANSFORMERS,
        ),
    },
    "tinygrad_tx.tensor.random": {
        "PRNGKey": "use tx.manual_seed(seed): random numbers come from one stream",
        "key": "use tx.manual_seed(seed): random numbers come from one stream",
        "normal": "use tx.randn(shape)",
        "split": "leave it out: random numbers come from one stream",
        "uniform": "use tx.rand(shape)",
    },
    "tinygrad_tx.optim": {
        "Adagrad": "there are tx.optim.SGD, tx.optim.Adam and tx.optim.AdamW",
        "RMSprop": "there are tx.optim.SGD, tx.optim.Adam and tx.optim.AdamW",
        "clip_grad_norm_": "it is tx.optim.clip_grad_norm(parameters, largest)",
        "lr_scheduler": "a schedule is a function of the step: optimizer.lr = "
        "tx.optim.cosine(peak, steps)(step)",
    },
    "tinygrad_tx.models": {
        **dict.fromkeys(
            ("AutoModel", "AutoModelForCausalLM", "GPT2LMHeadModel", "pipeline"),
            "name the family: tx.models.GPT.from_pretrained(folder), tx.models.Llama, "
            "tx.models.BERT, tx.models.EncoderDecoder",
        ),
        "AutoConfig": 'use tx.models.preset("gpt2")',
        "AutoTokenizer": "use tx.data.ByteTokenizer, tx.data.BPETokenizer.train(text), or "
        "tx.models.from_package(name), which gives model and tokenizer",
        "T5": "it is tx.models.EncoderDecoder",
    },
    "tinygrad_tx.reasoning": {
        "add_hook": "use tx.reasoning.intervene(model, tokens, {point: change})",
        "cache": "use tx.reasoning.capture(model, tokens)",
        "get_activations": "use tx.reasoning.capture(model, tokens)",
        "run_with_cache": "use tx.reasoning.capture(model, tokens)",
        "run_with_hooks": "use tx.reasoning.intervene(model, tokens, {point: change})",
    },
    "tinygrad_tx.data": {
        "AutoTokenizer": "use tx.data.ByteTokenizer(), or tx.data.BPETokenizer.train(text)",
        "DataLoader": DATA,
        "Dataset": DATA,
        "load_dataset": "use tx.data.read_text(path), or tx.data.default_text()",
    },
}
"""Of this package and its parts."""

ARGUMENTS: Mapping[str, str] = {
    "a_max": "it is called max here",
    "a_min": "it is called min here",
    "amsgrad": "leave it out",
    "atol": "leave it out: tolerances follow from the numbers; relative= widens them",
    "attention_mask": "it is called mask here: true where a key may be attended to",
    "attn_mask": "it is called mask here: true where a key may be attended to; what is added to "
    "the scores is bias=",
    "batch_first": "leave it out: the batch always comes first",
    "batch_size": "it is called batch here",
    "create_graph": "leave it out: tx.grad nests, and gives gradients of gradients",
    "decay": "it is called weight_decay here",
    "device": ONE_DEVICE,
    "dim": "it is called axis here",
    "dims": "they are called axes here, or axis",
    "do_sample": "temperature=0 takes the likeliest, anything above it draws",
    "dropout_p": "it is called dropout here",
    "dtypes": "it is called dtype here",
    "eos_token_id": "it is called stop here: stop=[token]",
    "epochs": "training is counted in steps here: steps=",
    "eps": "it is called epsilon here",
    "filename": "it is called path here",
    "format": 'the suffix of the path decides: "model.svg", "model.png", "model.html"',
    "generator": "use tx.manual_seed(seed)",
    "in_features": "it is called inputs here, the first argument",
    "inplace": "leave it out: tensors are immutable",
    "is_causal": "it is called causal here",
    "keepdim": "it is called keepdims here",
    "label_smoothing": "leave it out: it is not here",
    "learning_rate": "it is called lr here",
    "max_length": "it is called max_new_tokens here, and counts the new ones alone",
    "memory_format": "leave it out",
    "min_learning_rate": "it is called floor here",
    "nesterov": "leave it out: it is not here",
    "num_beams": "it is called beams here",
    "num_heads": "it is called heads here",
    "num_layers": "it is called layers here",
    "num_training_steps": "it is called steps here",
    "num_warmup_steps": "it is called warmup here",
    "out_features": "it is called outputs here, the second argument",
    "params": "it is called parameters here",
    "requires_grad": "make a tensor of the values: tx.tensor(values, requires_grad=True)",
    "retain_graph": "leave it out: a graph can be gone through as often as you like",
    "rtol": "it is called relative here",
    "set_to_none": "leave it out: gradients are always forgotten",
    "size": "it is called shape here",
    "static_argnames": "leave it out: what is no tensor or array is part of the signature",
    "static_argnums": "leave it out: what is no tensor or array is part of the signature",
    "strict": "leave it out: all names must fit; for some of them replace entries of "
    "model.state_dict()",
    "num_embeddings": "it is called count here, the first argument",
    "embedding_dim": "it is called width here, the second argument",
    "embed_dim": "it is called width here",
    "n_layer": "it is called layers here",
    "num_hidden_layers": "it is called layers here",
    "n_head": "it is called heads here",
    "num_attention_heads": "it is called heads here",
    "num_key_value_heads": "it is called kv_heads here",
    "n_kv_heads": "it is called kv_heads here",
    "n_embd": "it is called width here",
    "d_model": "it is called width here",
    "hidden_size": "it is called width here",
    "block_size": "it is called context here",
    "n_positions": "it is called context here",
    "max_position_embeddings": "it is called context here",
    "max_seq_len": "it is called context here",
    "vocab_size": "sizes go into a config: tx.models.GPT(tx.models.GPTConfig(vocab_size=65))",
    "n_vocab": "it is called vocab_size here",
    "vocab": "it is called vocab_size here",
    "intermediate_size": "it is called inner here",
    "d_ff": "it is called inner here",
    "rms_norm_eps": "it is called epsilon here",
}
"""Arguments that do not exist."""

MISSING: Mapping[str, str] = {
    "function": "write @tx.jit without parentheses, or tx.jit(function)",
    "lr": "give a learning rate, as lr=1e-2",
    "max_new_tokens": "say how many tokens, as max_new_tokens=20",
    "rng": "weights are drawn from a generator: give np.random.default_rng(0)",
    "steps": "say over how many steps it falls",
    "targets": "a model is told what comes next: model.loss(tokens[:, :-1], tokens[:, 1:])",
    "vocab_size": "give the tokenizer's vocab_size",
}
"""Arguments that were not given."""

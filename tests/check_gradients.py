#!/usr/bin/env python3
"""Checks the gradients of a whole model against PyTorch's.

usage: check_gradients.py SOURCE_DIR BUILD_DIR
Lets test_train write the gradients of stories260K for a few tokens into a folder, computes them again with PyTorch's
autograd over the same weights, and compares. Exit 77 (skipped) where PyTorch, the program or the model is missing.
"""
import math, os, subprocess, sys, tempfile

try:
    import numpy as np
    import torch
except ImportError:
    print("skipped: no PyTorch"); sys.exit(77)
from check_architectures import read_gguf

TOLERANCE = 1e-4  # largest difference over the largest gradient of the same tensor


def rotate(x, angles):
    """Llama's rotation by neighbours; x: (tokens, heads, dimension)."""
    even, odd, c, s = x[..., 0::2], x[..., 1::2], angles.cos()[:, None], angles.sin()[:, None]
    return torch.stack([even * c - odd * s, even * s + odd * c], -1).flatten(-2)


def norm(x, weight, epsilon):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def loss_of(meta, w, tokens):
    get = lambda key: meta["llama." + key]
    heads, kv_heads = get("attention.head_count"), get("attention.head_count_kv")
    size, n, epsilon = get("embedding_length") // heads, len(tokens), get("attention.layer_norm_rms_epsilon")
    frequencies = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    angles = torch.arange(n, dtype=torch.float32)[:, None] * frequencies
    mask = torch.full((n, n), -math.inf).triu(1)
    x = w["token_embd.weight"][tokens]
    for layer in range(get("block_count")):
        part = lambda name: w[f"blk.{layer}.{name}.weight"]
        h = norm(x, part("attn_norm"), epsilon)
        q = rotate((h @ part("attn_q").T).view(n, heads, size), angles)
        k = rotate((h @ part("attn_k").T).view(n, kv_heads, size), angles).repeat_interleave(heads // kv_heads, 1)
        v = (h @ part("attn_v").T).view(n, kv_heads, size).repeat_interleave(heads // kv_heads, 1)
        p = torch.softmax(torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(size) + mask, -1)
        x = x + torch.einsum("hij,jhd->ihd", p, v).reshape(n, -1) @ part("attn_output").T
        h = norm(x, part("ffn_norm"), epsilon)
        x = x + (torch.nn.functional.silu(h @ part("ffn_gate").T) * (h @ part("ffn_up").T)) @ part("ffn_down").T
    logits = norm(x, w["output_norm.weight"], epsilon) @ w["token_embd.weight"].T
    return torch.nn.functional.cross_entropy(logits[:-1], tokens[1:])


def main(source, build):
    program = os.path.join(build, "bin", "test_train")
    data = os.environ.get("RUVLLM_TESTDATA", os.path.join(source, "..", "shared", "data"))
    model = os.path.join(data, "stories260K", "stories260K.gguf")
    if not os.path.exists(program) or not os.path.exists(model):
        print("skipped: no test_train or no stories260K.gguf"); return 77
    meta, tensors = read_gguf(model)[:2]
    weights = {name: torch.tensor(np.ascontiguousarray(array, dtype=np.float32), requires_grad=True) for name, array in tensors.items()}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "--test-case=*written for comparison*"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "RUVLLM_GRADIENTS": folder})
        read = lambda name, kind: np.fromfile(os.path.join(folder, name), dtype=kind)
        loss_of(meta, weights, torch.tensor(read("tokens", "<i4").astype(np.int64))).backward()
        worst = 0.0
        for name, weight in weights.items():
            ours, theirs = read(name, "<f4"), weight.grad.numpy().ravel()
            error = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
            worst = max(worst, error)
            if not error <= TOLERANCE:
                print(f"{name}: {error:.2e}")
    print(f"{len(weights)} tensors, largest relative difference {worst:.2e} (PyTorch {torch.__version__})")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))

#!/usr/bin/env python3
"""Checks `ruvllm inspect logits` and `embed` against a second implementation of every architecture, in numpy and float64.

usage: check_architectures.py SOURCE_DIR BUILD_DIR [FILE.gguf ...]
Makes a small random model for each row of CASES (or takes the files given), runs the forward pass below, which shares
nothing with the program, and compares every logit. Exit 77 (skipped) where numpy or the program is missing.
"""
import json, math, os, struct, subprocess, sys, tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: no numpy"); sys.exit(77)

TOLERANCE = 1e-3
TOKENS = [1, 40, 7, 7, 93, 12, 55, 2, 81, 30, 64, 9, 9, 17]
ENCODER_TOKENS = [1, 40, 7, 7, 93, 12, 55, 81, 30, 64, 9, 17, 2]
VOCABULARY = 96

# ---- files ----------------------------------------------------------------------------------------------------------

def text(s): return struct.pack("<Q", len(s.encode())) + s.encode()

def typed(value):
    if isinstance(value, bool): return struct.pack("<I?", 7, value)
    if isinstance(value, int): return struct.pack("<II", 4, value)
    if isinstance(value, float): return struct.pack("<If", 6, value)
    if isinstance(value, str): return struct.pack("<I", 8) + text(value)
    kind, pack = {str: (8, text), int: (5, lambda x: struct.pack("<i", x)), float: (6, lambda x: struct.pack("<f", x))}[type(value[0])]
    return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(map(pack, value))

def write_gguf(path, meta, tensors):
    out, data = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(meta)), b""
    for key, value in meta.items(): out += text(key) + typed(value)
    for name, array in tensors.items():
        data += b"\0" * (-len(data) % 32)
        out += text(name) + struct.pack("<I", array.ndim) + struct.pack(f"<{array.ndim}Q", *array.shape[::-1])
        out += struct.pack("<IQ", 0, len(data))
        data += array.astype("<f4").tobytes()
    with open(path, "wb") as f: f.write(out + b"\0" * (-len(out) % 32) + data)

def read_gguf(path):
    with open(path, "rb") as f: raw = f.read()
    at = 24
    def number(fmt):
        nonlocal at
        value, = struct.unpack_from("<" + fmt, raw, at); at += struct.calcsize(fmt); return value
    def string():
        nonlocal at
        n = number("Q"); at += n; return raw[at - n:at].decode("utf-8", "replace")
    def value(kind):
        if kind == 8: return string()
        if kind == 9:
            inner, n = number("I"), number("Q"); return [value(inner) for _ in range(n)]
        return number("BbHhIif?__QQd"[kind] if kind != 11 else "q")
    n_tensors, n_keys = struct.unpack_from("<QQ", raw, 8)
    meta = {}
    for _ in range(n_keys):
        key = string(); meta[key] = value(number("I"))
    entries = []
    for _ in range(n_tensors):
        name, n = string(), number("I")
        entries.append((name, [number("Q") for _ in range(n)], number("I"), number("Q")))
    base, tensors = at + -at % meta.get("general.alignment", 32), {}
    for name, shape, kind, offset in entries:
        n = math.prod(shape)
        dtype = {0: "<f4", 1: "<f2"}[kind]
        tensors[name] = np.frombuffer(raw, dtype, n, base + offset).reshape(shape[::-1]).astype(np.float64)
    return meta, tensors

# ---- the second implementation --------------------------------------------------------------------------------------

def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True)); return e / e.sum(-1, keepdims=True)

def rms(x, w, eps): return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w

def layer(x, w, b, eps):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w + b

silu = lambda x: x / (1 + np.exp(-x))
gelu = lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))
gelu_erf = lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

def inverse_frequencies(get, t, n, base, local, context):
    """As Hugging Face's modeling_rope_utils has them; returns frequencies and the attention factor."""
    f = base ** (-np.arange(0, n, 2) / n)
    kind, factor = get("rope.scaling.type", "none"), get("rope.scaling.factor", 1.0)
    original = get("rope.scaling.original_context_length", get("context_length"))
    if local: return f, 1.0
    if kind == "linear": return f / factor, 1.0
    if kind == "ntk": return (base * factor ** (n / (n - 2))) ** (-np.arange(0, n, 2) / n), 1.0
    if kind == "dynamic" and context > original:
        base = base * (factor * context / original - (factor - 1)) ** (n / (n - 2))
        return base ** (-np.arange(0, n, 2) / n), 1.0
    if kind == "yarn":
        edge = lambda turns: n * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))
        low, high = max(math.floor(edge(32)), 0), min(math.ceil(edge(1)), n - 1)
        extrapolated = 1 - np.clip((np.arange(n // 2) - low) / max(high - low, 0.001), 0, 1)
        return f / factor * (1 - extrapolated) + f * extrapolated, 0.1 * math.log(factor) + 1
    if "rope_factors_long.weight" in t:
        which = "long" if context > original else "short"
        return f / t[f"rope_factors_{which}.weight"], get("rope.scaling.attn_factor", 1.0)
    if "rope_freqs.weight" in t: return f / t["rope_freqs.weight"], 1.0
    return f, 1.0

def rotate(x, frequencies, magnitude, neighbours):  # x: (positions, heads, head)
    n = 2 * len(frequencies)
    angle = np.arange(len(x))[:, None, None] * frequencies
    c, s = np.cos(angle) * magnitude, np.sin(angle) * magnitude
    out = x.copy()
    a, b = (x[..., 0:n:2], x[..., 1:n:2]) if neighbours else (x[..., :n // 2], x[..., n // 2:n])
    first, second = a * c - b * s, a * s + b * c
    if neighbours: out[..., 0:n:2], out[..., 1:n:2] = first, second
    else: out[..., :n // 2], out[..., n // 2:n] = first, second
    return out

def alibi(n_heads, max_bias=8.0):
    slopes = lambda n: [2.0 ** (-max_bias * (i + 1) / n) for i in range(n)]
    power = 1 << (n_heads.bit_length() - 1)
    return np.array(slopes(power) + slopes(2 * power)[0::2][:n_heads - power])

def forward(meta, t, tokens, context):
    """Logits of every position; hidden states for encoders."""
    arch = meta["general.architecture"]
    get = lambda key, default=None: meta.get(f"{arch}.{key}", default)
    width, n_layers, n_heads = get("embedding_length"), get("block_count"), get("attention.head_count")
    n_kv = get("attention.head_count_kv", n_heads)
    head = get("attention.key_length", width // n_heads)
    n_rot = get("rope.dimension_count", head)
    n = len(tokens)
    eps = get("attention.layer_norm_rms_epsilon", get("attention.layer_norm_epsilon"))
    gemma = arch.startswith("gemma")
    act = {"phi2": gelu, "bloom": gelu, "bert": gelu_erf}.get(arch, gelu if gemma else silu)

    def norm(name, x):
        w = t[name + ".weight"]
        if arch in ("phi2", "stablelm", "bloom", "bert"): return layer(x, w, t.get(name + ".bias", 0), eps)
        return rms(x, w, eps)
    def linear(name, x): return x @ t[name + ".weight"].T + t.get(name + ".bias", 0)
    def mlp(p, x, kind=""):
        up, gate = p + f"ffn_up{kind}", p + f"ffn_gate{kind}"
        if gate + ".weight" in t: h = act(linear(gate, x)) * linear(up, x)
        elif arch == "phi3": h = np.split(linear(up, x), 2, -1); h = act(h[0]) * h[1]
        else: h = act(linear(up, x))
        return linear(p + f"ffn_down{kind}", h)
    def experts(p, x):
        used = get("expert_used_count")
        scores = softmax(linear(p + "ffn_gate_inp", x))
        out = np.zeros_like(x)
        for row in range(len(x)):
            chosen = np.argsort(-scores[row], kind="stable")[:used]
            w = scores[row, chosen]
            if arch != "qwen2moe": w = w / w.sum()
            for weight, e in zip(w, chosen):
                h = act(t[p + "ffn_gate_exps.weight"][e] @ x[row]) * (t[p + "ffn_up_exps.weight"][e] @ x[row])
                out[row] += weight * (t[p + "ffn_down_exps.weight"][e] @ h)
        if p + "ffn_up_shexp.weight" in t:
            share = 1 / (1 + np.exp(-(x @ t[p + "ffn_gate_inp_shexp.weight"].ravel())))
            out += share[:, None] * mlp(p, x, "_shexp")
        return out
    def attention(il, p, x):
        if p + "attn_qkv.weight" in t:
            q, k, v = np.split(linear(p + "attn_qkv", x), [n_heads * head, (n_heads + n_kv) * head], -1)
        else: q, k, v = (linear(p + "attn_" + c, x) for c in "qkv")
        if arch == "olmo2": q, k = norm(p + "attn_q_norm", q), norm(p + "attn_k_norm", k)
        q, k, v = (a.reshape(n, -1, head) for a in (q, k, v))
        if arch in ("qwen3", "qwen3moe", "gemma3"): q, k = norm(p + "attn_q_norm", q), norm(p + "attn_k_norm", k)
        if arch == "stablelm" and p + "attn_q_norm.weight" in t:
            q, k = layer(q, t[p + "attn_q_norm.weight"], 0, eps), layer(k, t[p + "attn_k_norm.weight"], 0, eps)
        window = get("attention.sliding_window", 0)
        if arch == "gemma2" and il % 2 == 1: window = 0
        if arch == "gemma3" and il % 6 == 5: window = 0
        if arch not in ("bloom", "bert"):
            local = arch == "gemma3" and window > 0
            f, magnitude = inverse_frequencies(get, t, n_rot, 10000.0 if local else get("rope.freq_base", 10000.0), local, context)
            neighbours = arch in ("llama", "granite", "granitemoe")
            q, k = rotate(q, f, magnitude, neighbours), rotate(k, f, magnitude, neighbours)
        scale = get("attention.scale", 1 / math.sqrt(head))
        if (arch, n_layers) in (("gemma2", 46), ("gemma3", 62)): scale = 1 / math.sqrt(width / n_heads)
        k, v = np.repeat(k, n_heads // n_kv, 1), np.repeat(v, n_heads // n_kv, 1)
        scores = np.einsum("ihd,jhd->hij", q, k) * scale
        cap = get("attn_logit_softcapping", 0)
        if cap: scores = cap * np.tanh(scores / cap)
        i, j = np.arange(n)[:, None], np.arange(n)[None, :]
        if arch == "bloom": scores = scores - alibi(n_heads)[:, None, None] * (i - j)
        hidden = np.zeros((n, n), bool) if arch == "bert" else j > i
        if window: hidden = hidden | (j <= i - window)
        scores = np.where(hidden, -np.inf, scores)
        return linear(p + "attn_output", np.einsum("hij,jhd->ihd", softmax(scores), v).reshape(n, -1))

    x = t["token_embd.weight"][tokens]
    if gemma: x = x * math.sqrt(width)
    x = x * get("embedding_scale", 1.0)
    if arch == "bert": x = x + t["token_types.weight"][0] + t["position_embd.weight"][:n]
    if arch in ("bert", "bloom"): x = norm("token_embd_norm", x)
    residual = get("residual_scale", 1.0)
    for il in range(n_layers):
        p = f"blk.{il}."
        feed = experts if p + "ffn_gate_inp.weight" in t else mlp
        if arch == "bert":
            x = norm(p + "attn_output_norm", x + attention(il, p, x))
            x = norm(p + "layer_output_norm", x + mlp(p, x))
        elif arch == "olmo2":
            x = x + norm(p + "post_attention_norm", attention(il, p, x))
            x = x + norm(p + "post_ffw_norm", mlp(p, x))
        elif arch in ("gemma2", "gemma3"):
            x = x + norm(p + "post_attention_norm", attention(il, p, norm(p + "attn_norm", x)))
            x = x + norm(p + "post_ffw_norm", mlp(p, norm(p + "ffn_norm", x)))
        elif p + "ffn_norm.weight" not in t:
            h = norm(p + "attn_norm", x); x = x + attention(il, p, h) + mlp(p, h)
        else:
            x = x + residual * attention(il, p, norm(p + "attn_norm", x))
            x = x + residual * feed(p, norm(p + "ffn_norm", x))
    if arch == "bert": return x
    x = norm("output_norm", x)
    logits = linear("output", x) if "output.weight" in t else x @ t["token_embd.weight"].T
    logits = logits / get("logit_scale", 1.0)
    cap = get("final_logit_softcapping", 0)
    return cap * np.tanh(logits / cap) if cap else logits

# ---- random models --------------------------------------------------------------------------------------------------

def random_model(seed, arch, layers=2, heads=4, kv=2, head=16, experts=0, tied=False, fused=False, gated=True, parts=(), **keys):
    """A model of width 64. `parts` names what a row of the table adds."""
    rng, width, inner = np.random.default_rng(seed), 64, 96
    q, k = heads * head, kv * head
    eps = {"attention.layer_norm_epsilon" if "layer" in parts else "attention.layer_norm_rms_epsilon": 1e-5}
    own = {"block_count": layers, "context_length": 256, "embedding_length": width, "feed_forward_length": inner,
           "attention.head_count": heads, "attention.head_count_kv": kv, "attention.key_length": head,
           "attention.value_length": head, "rope.dimension_count": head, **eps, **keys}
    t = {}
    def matrix(name, rows, columns, bias=False, stack=()):
        t[name + ".weight"] = rng.normal(0, 1 / math.sqrt(columns), (*stack, rows, columns))
        if bias: t[name + ".bias"] = rng.normal(0, 0.3, rows)
    def norm(name, n=width, shape=None):
        t[name + ".weight"] = rng.normal(1, 0.2, shape or n)
        if "bias" in parts and shape is None: t[name + ".bias"] = rng.normal(0, 0.2, n)
    t["token_embd.weight"] = rng.normal(0, 0.3 if "layer" in parts else 1, (VOCABULARY, width))
    bias = "bias" in parts
    if arch == "bert":
        t["position_embd.weight"], t["token_types.weight"] = rng.normal(0, 0.3, (256, width)), rng.normal(0, 0.3, (2, width))
    if arch in ("bert", "bloom"): norm("token_embd_norm")
    if "rope_freqs" in parts: t["rope_freqs.weight"] = rng.uniform(1, 8, head // 2)
    for name in ("short", "long") if "longrope" in parts else (): t[f"rope_factors_{name}.weight"] = rng.uniform(1, 4, head // 2)
    for il in range(layers):
        p = f"blk.{il}."
        if arch not in ("bert", "olmo2"): norm(p + "attn_norm")
        if fused: matrix(p + "attn_qkv", q + 2 * k, width, bias)
        else:
            for c, rows in zip("qkv", (q, k, k)): matrix(p + "attn_" + c, rows, width, bias or "qkv_bias" in parts)
        matrix(p + "attn_output", width, q, bias)
        if "head_norm" in parts: norm(p + "attn_q_norm", head), norm(p + "attn_k_norm", head)
        if "row_norm" in parts: norm(p + "attn_q_norm", q), norm(p + "attn_k_norm", k)
        if "each_head_norm" in parts: norm(p + "attn_q_norm", shape=(heads, head)), norm(p + "attn_k_norm", shape=(kv, head))
        if arch == "bert": norm(p + "attn_output_norm"), norm(p + "layer_output_norm")
        elif "post_norm" in parts: norm(p + "post_attention_norm"), norm(p + "post_ffw_norm")
        if arch not in ("bert", "olmo2") and "parallel" not in parts: norm(p + "ffn_norm")
        if experts:
            ew = own["expert_feed_forward_length"]
            matrix(p + "ffn_gate_inp", experts, width)
            for name, rows, columns in (("gate", ew, width), ("up", ew, width), ("down", width, ew)):
                matrix(p + f"ffn_{name}_exps", rows, columns, stack=(experts,))
            if "shared_expert" in parts:
                shared = own["expert_shared_feed_forward_length"]
                matrix(p + "ffn_gate_inp_shexp", 1, width)
                t[p + "ffn_gate_inp_shexp.weight"] = t[p + "ffn_gate_inp_shexp.weight"].ravel()
                for name, rows, columns in (("gate", shared, width), ("up", shared, width), ("down", width, shared)):
                    matrix(p + f"ffn_{name}_shexp", rows, columns)
        elif arch == "phi3": matrix(p + "ffn_up", 2 * inner, width)
        else:
            if gated: matrix(p + "ffn_gate", inner, width, bias)
            matrix(p + "ffn_up", inner, width, bias)
        if not experts: matrix(p + "ffn_down", width, inner, bias)
    if arch != "bert":
        norm("output_norm")
        if not tied: matrix("output", VOCABULARY, width, arch == "phi2")
    meta = {"general.architecture": arch, **{f"{arch}.{key}": value for key, value in own.items()},
            **(WORDPIECE if arch == "bert" else SENTENCEPIECE)}
    # The program reads f32: round here, so that both see the same weights.
    return meta, {name: array.astype(np.float32).astype(np.float64) for name, array in t.items()}

SENTENCEPIECE = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": [f"t{i}" for i in range(VOCABULARY)],
                 "tokenizer.ggml.scores": [-float(i) for i in range(VOCABULARY)],
                 "tokenizer.ggml.token_type": [2] + [3] * 2 + [1] * (VOCABULARY - 3),
                 "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0}
WORDS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"] + ["\u2581word" + chr(97 + i // 26) + chr(97 + i % 26) for i in range(VOCABULARY - 4)]
WORDPIECE = {"tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": WORDS,
             "tokenizer.ggml.token_type": [2, 3, 3, 3] + [1] * (VOCABULARY - 4), "tokenizer.ggml.bos_token_id": 1,
             "tokenizer.ggml.cls_token_id": 1, "tokenizer.ggml.seperator_token_id": 2, "tokenizer.ggml.unknown_token_id": 0,
             "tokenizer.ggml.padding_token_id": 3}

SCALING = lambda kind, factor=4.0, original=64: {"rope.scaling.type": kind, "rope.scaling.factor": factor,
                                                  "rope.scaling.original_context_length": original}
MOE = {"experts": 6, "expert_count": 6, "expert_used_count": 3, "expert_feed_forward_length": 32}
CASES = {
    "llama, one KV head": dict(arch="llama", kv=1),
    "llama, untrained biases": dict(arch="llama", parts=("qkv_bias",)),
    "llama 3": dict(arch="llama", parts=("rope_freqs",)),
    "llama, linear": dict(arch="llama", **SCALING("linear")),
    "llama, ntk": dict(arch="llama", **SCALING("ntk")),
    "llama, dynamic, short": dict(arch="llama", **SCALING("dynamic", 2.0)),
    "llama, dynamic, long": dict(arch="llama", **SCALING("dynamic", 2.0, 8)),
    "llama, yarn": dict(arch="llama", head=32, **SCALING("yarn")),
    "mistral": dict(arch="llama", **{"attention.sliding_window": 4}),
    "mixtral": dict(arch="llama", **MOE),
    "qwen2, tied": dict(arch="qwen2", parts=("qkv_bias",), tied=True),
    "qwen2moe": dict(arch="qwen2moe", parts=("qkv_bias", "shared_expert"), **MOE, **{"expert_shared_feed_forward_length": 48}),
    "qwen3": dict(arch="qwen3", parts=("head_norm",)),
    "qwen3, yarn": dict(arch="qwen3", head=32, parts=("head_norm",), **SCALING("yarn")),
    "qwen3moe": dict(arch="qwen3moe", parts=("head_norm",), **MOE),
    "gemma": dict(arch="gemma", tied=True, kv=1),
    "gemma2": dict(arch="gemma2", tied=True, parts=("post_norm",), **{"attention.sliding_window": 4, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}),
    "gemma3": dict(arch="gemma3", tied=True, layers=7, parts=("post_norm", "head_norm"), **{"attention.sliding_window": 4, "rope.freq_base": 1e6}, **SCALING("linear", 8.0)),
    "phi2": dict(arch="phi2", kv=4, fused=True, gated=False, parts=("layer", "bias", "parallel"), **{"rope.dimension_count": 6}),
    "phi3, short": dict(arch="phi3", fused=True, parts=("longrope",), **{"rope.scaling.original_context_length": 128, "rope.scaling.attn_factor": 1.19}),
    "phi3, long": dict(arch="phi3", fused=True, parts=("longrope",), **{"rope.scaling.original_context_length": 8, "rope.scaling.attn_factor": 1.19, "attention.sliding_window": 5}),
    "phi4-mini": dict(arch="phi3", fused=True, tied=True, **{"rope.dimension_count": 12}),
    "stablelm": dict(arch="stablelm", parts=("layer", "bias"), **{"rope.dimension_count": 4}),
    "stablelm 2 12b": dict(arch="stablelm", parts=("layer", "each_head_norm", "parallel"), **{"rope.dimension_count": 4}),
    "olmo2": dict(arch="olmo2", parts=("post_norm", "row_norm")),
    "granite": dict(arch="granite", tied=True, **{"embedding_scale": 12.0, "residual_scale": 0.22, "attention.scale": 0.0156, "logit_scale": 8.0}),
    "granitemoe": dict(arch="granitemoe", tied=True, **MOE, **{"embedding_scale": 12.0, "residual_scale": 0.22, "attention.scale": 0.0156, "logit_scale": 6.0}),
    "bloom": dict(arch="bloom", kv=4, fused=True, gated=False, tied=True, parts=("layer", "bias")),
    "bloom, heads no power of two": dict(arch="bloom", heads=6, kv=6, head=8, fused=True, gated=False, tied=True, parts=("layer", "bias")),
    "bert, mean": dict(arch="bert", kv=4, gated=False, parts=("layer", "bias"), **{"pooling_type": 1}),
    "bert, cls": dict(arch="bert", kv=4, gated=False, parts=("layer", "bias"), **{"pooling_type": 2}),
}

def program_embedding(program, path):
    """The embedding of an encoder for a text whose tokens are ENCODER_TOKENS."""
    words = " ".join(WORDS[token].lstrip("\u2581") for token in ENCODER_TOKENS[1:-1])
    done = subprocess.run([program, "embed", path, "--text", words, "--raw", "--json"], capture_output=True, text=True)
    if done.returncode: return done.stderr.strip()
    return np.array(json.loads(done.stdout)["embeddings"][0]["embedding"])

def program_logits(program, path, folder):
    out = os.path.join(folder, "logits.f32")
    done = subprocess.run([program, "logits", path, "--tokens", ",".join(map(str, TOKENS)), "--kv-type", "f32", "--out", out,
                           "-c", str(len(TOKENS))],  # what scaling that looks at the context is to see
                          capture_output=True, text=True)
    if done.returncode: return done.stderr.strip()
    return np.fromfile(out, "<f4").reshape(len(TOKENS), -1)

def check(program, name, path, meta, tensors, folder):
    if meta["general.architecture"] == "bert":
        states = forward(meta, tensors, ENCODER_TOKENS, len(ENCODER_TOKENS))
        wanted, got = states[0] if meta["bert.pooling_type"] == 2 else states.mean(0), program_embedding(program, path)
    else:
        wanted, got = forward(meta, tensors, TOKENS, len(TOKENS)), program_logits(program, path, folder)
    if isinstance(got, str): print(f"FAIL {name}: {got}"); return False
    difference = np.abs(got - wanted).max() if got.shape == wanted.shape else math.inf
    good = difference <= TOLERANCE  # NaN is not
    print(f"{'ok  ' if good else 'FAIL'} {name}: largest difference {difference:.1e}, logits' deviation {wanted.std():.1f}")
    return good

def main(source, build, *files):
    program = os.path.join(build, "bin", "ruvllm-inspect")
    if not os.path.exists(program): print("skipped: no", program); sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        if files: results = [check(program, path, path, *read_gguf(path), folder) for path in files]
        else:
            results, path = [], os.path.join(folder, "model.gguf")
            for seed, (name, row) in enumerate(CASES.items()):
                meta, tensors = random_model(seed, **row)
                write_gguf(path, meta, tensors)
                results.append(check(program, name, path, meta, tensors, folder))
    sys.exit(0 if all(results) and results else 1)

if __name__ == "__main__": main(*sys.argv[1:])

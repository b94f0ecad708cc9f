#!/bin/sh
# llama.cpp (as in the npm package node-llama-cpp 3.22.1): a token spelled "<|end|>" ends a generation, although the file
# calls it an ordinary control token. It stops doing so only where the vocabulary has a mark of calls ("<|call|>" or
# "<|calls|>") AND a mark of returns ("<|return|>" or "<|flush|>"); one of the two is not enough. Four tokens that are
# not looked at otherwise decide what a fifth does.
#
# Seen with node-llama-cpp 3.22.1 on x86-64 Linux, 2026-12-01. Needs node 20, npm and the network.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --ignore-scripts --no-audit --no-fund --silent node-llama-cpp@3.22.1 >/dev/null
cat >check.mjs <<'JS'
import {writeFileSync} from 'node:fs';
import {getLlama} from 'node-llama-cpp';

// A GGUF file of a model of one layer, all zeros; only its vocabulary matters. Types of keys: 4 u32, 5 i32, 6 f32,
// 8 string, 9 array.
const u32 = n => { const b = Buffer.alloc(4); b.writeUInt32LE(n); return b; };
const u64 = n => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(n)); return b; };
const f32 = x => { const b = Buffer.alloc(4); b.writeFloatLE(x); return b; };
const text = s => { const b = Buffer.from(s); return Buffer.concat([u64(b.length), b]); };
const write = {4: u32, 5: u32, 6: f32, 8: text};
function vocabulary(path, extra) {
  const bytes = Array.from({length: 256}, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, '\u2581', 'a', 'b', ...extra];
  const kinds = tokens.map((_, i) => i === 0 ? 2 : i < 3 || i >= 262 ? 3 : i < 259 ? 6 : 1);
  const array = (type, values) => Buffer.concat([u32(type), u64(values.length), ...values.map(write[type])]);
  const keys = [['general.architecture', 8, 'llama'], ['llama.context_length', 4, 64], ['llama.embedding_length', 4, 32],
    ['llama.block_count', 4, 1], ['llama.feed_forward_length', 4, 32], ['llama.attention.head_count', 4, 1],
    ['llama.attention.layer_norm_rms_epsilon', 6, 1e-5], ['tokenizer.ggml.model', 8, 'llama']]
    .map(([key, type, value]) => Buffer.concat([text(key), u32(type), write[type](value)]));
  const arrays = [['tokens', 8, tokens], ['scores', 6, tokens.map((_, i) => -i)], ['token_type', 5, kinds]]
    .map(([key, type, values]) => Buffer.concat([text('tokenizer.ggml.' + key), u32(9), array(type, values)]));
  const matrices = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'];
  const tensors = [['token_embd.weight', [32, tokens.length]], ['output_norm.weight', [32]],
    ...['attn_norm', 'ffn_norm'].map(name => [`blk.0.${name}.weight`, [32]]),
    ...matrices.map(name => [`blk.0.${name}.weight`, [32, 32]])];
  let offset = 0;
  const infos = tensors.map(([name, dimensions]) => {
    const info = Buffer.concat([text(name), u32(dimensions.length), ...dimensions.map(u64), u32(0), u64(offset)]);
    offset += 4 * dimensions.reduce((a, b) => a * b);  // a multiple of 32 each
    return info;
  });
  const header = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(keys.length + arrays.length),
    ...keys, ...arrays, ...infos]);
  writeFileSync(path, Buffer.concat([header, Buffer.alloc((32 - header.length % 32) % 32 + offset)]));
  return tokens;
}

const llama = await getLlama({gpu: false, build: 'never', logLevel: 'error'});
const cases = [[[], true], [['<|call|>'], true], [['<|return|>'], true], [['<|calls|>'], true], [['<|flush|>'], true],
  [['<|call|>', '<|calls|>'], true], [['<|call|>', '<|return|>'], false], [['<|calls|>', '<|flush|>'], false]];
let failed = 0;
for (const [beside, expected] of cases) {
  const tokens = vocabulary('vocab.gguf', ['<|end|>', ...beside]);
  const model = await llama.loadModel({modelPath: 'vocab.gguf', vocabOnly: true});
  // llama.cpp's own answer: the package's isEogToken() adds the token that it takes for the end of a turn.
  const ends = model._model.isEogToken(tokens.indexOf('<|end|>'));
  console.log(`<|end|> beside ${beside.join(' ') || 'nothing'}: ${ends ? 'ends a generation' : 'is an ordinary token'}`);
  if (ends !== expected) { ++failed; console.log('  CHANGED'); }
  await model.dispose();
}
process.exit(failed ? 1 : 0);
JS
node check.mjs

"use strict";
// Unpacking: base64 of gzip, by the browser's own means.

async function unzip(id) {
  const text = atob(document.getElementById(id).textContent.trim());
  const packed = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const KINDS = { uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array };

// `{"array": n}` anywhere in the content becomes the n-th typed array.
function resolve(value, arrays) {
  if (Array.isArray(value)) return value.map((item) => resolve(item, arrays));
  if (value === null || typeof value !== "object") return value;
  const keys = Object.keys(value);
  if (keys.length === 1 && keys[0] === "array") return arrays[value.array];
  return Object.fromEntries(keys.map((key) => [key, resolve(value[key], arrays)]));
}

async function readData() {
  const buffer = await unzip("data-packed");
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = head.arrays.map(
    ({ kind, offset, length: count }) => new KINDS[kind](buffer, 4 + length + offset, count),
  );
  return resolve(head.content, arrays);
}

async function loadPlotly() {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await unzip("plotly-packed"));
  document.head.append(script);
}

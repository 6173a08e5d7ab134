"use strict";
// Runs in a thread of its own, below onnxruntime-web: one session per member, pictures in and out as RGBA.

function upscaleWorker() {
  const sessions = [];
  let provider = "wasm";

  const create = (model, name) => ort.InferenceSession.create(model, { executionProviders: [name] });

  async function infer(session, pixels, width, height) {
    const planes = new Float32Array(3 * width * height);
    for (let i = 0, count = width * height; i < count; i += 1) {
      for (let c = 0; c < 3; c += 1) planes[c * count + i] = pixels[4 * i + c] / 255;
    }
    const input = new ort.Tensor("float32", planes, [1, 3, height, width]);
    const { output } = await session.run({ input });
    const values = await output.getData();
    const count = values.length / 3;
    const made = new Uint8ClampedArray(4 * count).fill(255); // rounds, and keeps to 0 and 255
    for (let i = 0; i < count; i += 1) {
      for (let c = 0; c < 3; c += 1) made[4 * i + c] = 255 * values[c * count + i];
    }
    output.dispose();
    return made;
  }

  const tasks = {
    // WebGPU where there is a GPU and the first member runs on it.
    async start({ loader, wasm, model }) {
      ort.env.logLevel = "error";
      ort.env.wasm.wasmBinary = wasm;
      ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([loader], { type: "text/javascript" })) };
      const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
      if (adapter && !adapter.info?.isFallbackAdapter) {
        try {
          await infer(await create(model, "webgpu"), new Uint8ClampedArray(4 * 64), 8, 8);
          provider = "webgpu";
        } catch (error) {
          console.warn(`WebGPU does not work here: ${error.message}`);
        }
      }
      if (provider === "wasm") await create(model, provider);
      return { provider, threads: ort.env.wasm.numThreads };
    },
    async load({ model }) {
      sessions.push(await create(model, provider));
      return {};
    },
    async run({ member, pixels, width, height }) {
      return { pixels: await infer(sessions[member], pixels, width, height) };
    },
  };

  onmessage = async ({ data }) => {
    try {
      const answer = await tasks[data.task](data);
      postMessage({ answer }, answer.pixels ? [answer.pixels.buffer] : []);
    } catch (error) {
      postMessage({ error: String(error?.message ?? error) });
    }
  };
}

// The worker as the page sees it: `ask` one thing after the other.
class Upscaler {
  constructor(script) {
    const source = new Blob([script, `\n;(${upscaleWorker})();`], { type: "text/javascript" });
    this.worker = new Worker(URL.createObjectURL(source));
    this.last = Promise.resolve();
  }

  ask(task, values = {}, transfer = []) {
    const answer = this.last.then(() => new Promise((resolve, reject) => {
      this.worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.answer));
      this.worker.onerror = (event) => reject(new Error(event.message ?? "the worker could not start"));
      this.worker.postMessage({ task, ...values }, transfer);
    }));
    this.last = answer.catch(() => null);
    return answer;
  }

  // An ImageData of `scale` times the size.
  async run(member, { data, width, height }) {
    const { pixels } = await this.ask("run", { member, pixels: data, width, height });
    return new ImageData(pixels, MODELS.scale * width, MODELS.scale * height);
  }
}

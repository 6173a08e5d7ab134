"use strict";
// Gets everything ready, then does what the user asks for.

const MOST_PIXELS = matchMedia("(pointer: coarse)").matches ? 2 ** 24 : 2 ** 26; // of an output; phones keep less
const TILE = 256; // LR pixels of a tile that are kept; its overlap comes on top
const MEASURED_MS = 60; // how long a member is measured in a round, but once at least
const SLOW_MS = 500; // members that take longer are measured once

async function unzip(text) {
  const letters = atob(text);
  const packed = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) packed[i] = letters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// A file of the runtime: packed beside the page, or what the CDN has if its digest is right.
async function runtimeFile({ packed, url, integrity }) {
  if (packed) return unzip(packed);
  try {
    const answer = await fetch(url, { integrity, credentials: "omit" });
    if (answer.ok) return await answer.arrayBuffer();
  } catch {} // the same line, whatever the reason
  throw new Error(`onnxruntime-web cannot be loaded from ${url}; dysr demo --runtime makes a page that needs no network`);
}

// Any image as RGBA, over white where it is transparent; of one that is too large the middle.
async function readPicture(source) {
  const image = await createImageBitmap(source);
  const shrink = Math.min(1, Math.sqrt(MOST_PIXELS / MODELS.scale ** 2 / (image.width * image.height)));
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, Math.floor(side * shrink)));
  const whole = `${image.width}×${image.height}`; // gone once it is closed
  const draw = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  draw.fillStyle = "#ffffff";
  draw.fillRect(0, 0, width, height);
  draw.drawImage(image, Math.ceil((width - image.width) / 2), Math.ceil((height - image.height) / 2));
  image.close();
  const picture = draw.getImageData(0, 0, width, height);
  picture.cutFrom = shrink < 1 ? whole : null;
  return picture;
}

async function decodeClip() {
  return Promise.all(CLIP.map(async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    return readPicture(image);
  }));
}

// Tiles along an axis as [start, first kept]: all of one length and inside, the last one shifted inwards.
function spans(length, overlap) {
  const side = TILE + 2 * overlap;
  if (length <= side) return { side: length, starts: [[0, 0]] };
  const starts = [[0, 0]];
  for (let start = TILE; start < length - side; start += TILE) starts.push([start, start + overlap]);
  starts.push([length - side, length - side + overlap]);
  return { side, starts };
}

function cut(picture, x, y, width, height) {
  const part = new ImageData(width, height);
  for (let row = 0; row < height; row += 1) {
    const from = 4 * ((y + row) * picture.width + x);
    part.data.set(picture.data.subarray(from, from + 4 * width), 4 * row * width);
  }
  return part;
}

class App {
  constructor(upscaler) {
    this.upscaler = upscaler;
    this.members = MODELS.members;
    this.index = 0;
    this.picture = null; // the user's, while it is shown
    this.job = 0; // a newer one ends those before it
  }

  choose(index) {
    this.index = index;
    showMember(this.members, index);
  }

  // A whole frame: what was chosen when it began makes it.
  async drawFrame(picture) {
    const output = await this.upscaler.run(this.index, picture);
    showBefore(picture);
    byId("after").getContext("2d").putImageData(output, 0, 0);
  }

  // The user's picture or the clip's frame, tile by tile.
  async redraw() {
    const job = (this.job += 1);
    const picture = this.picture ?? this.player.picture;
    const { overlap } = this.members[this.index];
    const [across, down] = [spans(picture.width, overlap), spans(picture.height, overlap)];
    const [began, count] = [performance.now(), across.starts.length * down.starts.length];
    const progress = byId("progress");
    showBefore(picture);
    const draw = byId("after").getContext("2d");
    byId("save").disabled = true;
    let done = 0;
    // A tile is drawn over the one before from its first kept pixel on.
    for (const [y, top] of down.starts) {
      for (const [x, left] of across.starts) {
        progress.hidden = count === 1;
        progress.value = done / count;
        const output = await this.upscaler.run(this.index, cut(picture, x, y, across.side, down.side));
        if (job !== this.job) return;
        const [dx, dy] = [MODELS.scale * (left - x), MODELS.scale * (top - y)];
        draw.putImageData(output, MODELS.scale * x, MODELS.scale * y, dx, dy, output.width - dx, output.height - dy);
        done += 1;
        const rest = Math.round(((count - done) * (performance.now() - began)) / 1000 / done);
        const faster = this.index ? "; a member further left is faster" : "";
        if (done === 1 && rest > 5) byId("note").textContent = `About ${rest} s${faster}.`;
      }
    }
    progress.hidden = true;
    byId("save").disabled = false;
    const [w, h] = [picture.width, picture.height];
    const seconds = ((performance.now() - began) / 1000).toPrecision(2);
    byId("note").textContent =
      `${w}×${h}${picture.cutFrom ? `, the middle of ${picture.cutFrom},` : ""} ` +
      `to ${MODELS.scale * w}×${MODELS.scale * h} in ${seconds} s${count > 1 ? `, in ${count} tiles` : ""}.`;
  }

  async open(file) {
    if (!file) return;
    await this.player.stop();
    const job = (this.job += 1);
    const picture = await readPicture(file).catch(() => null);
    if (job !== this.job) return; // another one was opened meanwhile, or the clip plays
    if (!picture) {
      byId("note").textContent = `${file.name ?? "This"} is no picture that this browser reads.`;
      return;
    }
    this.picture = picture;
    this.name = (file.name ?? "picture").replace(/\.\w+$/, "");
    await this.redraw();
  }

  save() {
    byId("after").toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${this.picture ? this.name : "clip"}_x${MODELS.scale}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });
  }

  toggle() {
    if (this.player.playing) return this.player.stop();
    this.picture = null;
    this.job += 1;
    byId("progress").hidden = true;
    byId("save").disabled = true;
    byId("note").textContent = "";
    byId("play").textContent = "Pause";
    return this.player.play();
  }

  listen() {
    const { player } = this;
    const on = (id, event, act) => byId(id).addEventListener(event, act);
    const showRate = () => {
      player.rate = Number(byId("rate").value);
      byId("rate-shown").textContent = `${player.rate} /s`;
    };
    on("play", "click", () => this.toggle());
    on("rate", "input", () => {
      showRate();
      if (player.playing) player.adapt();
    });
    on("adapt", "change", () => {
      player.adapts = byId("adapt").checked;
      if (player.playing) player.adapt();
    });
    on("member", "input", () => {
      // Who takes the slider wants this member.
      byId("adapt").checked = player.adapts = false;
      player.policy = null;
      this.choose(Number(byId("member").value));
      if (!player.playing) this.redraw();
    });
    on("open", "click", () => byId("file").click());
    on("file", "change", () => {
      this.open(byId("file").files[0]);
      byId("file").value = "";
    });
    on("save", "click", () => this.save());
    document.addEventListener("visibilitychange", () => document.hidden && player.stop());
    document.addEventListener("paste", (event) => this.open([...event.clipboardData.files][0]));
    for (const event of ["dragover", "dragleave", "drop"]) {
      document.addEventListener(event, (drag) => {
        drag.preventDefault();
        byId("compare").classList.toggle("over", event === "dragover");
        if (event === "drop") this.open([...drag.dataTransfer.files][0]);
      });
    }
    showRate();
    drawTimeline([], player.deadline);
    for (const id of ["play", "open", "member"]) byId(id).disabled = false;
  }
}

// The time of a frame in ms; of a fast member's the best of several. The browser compiles while it runs.
async function measure(app, index, frame) {
  const member = app.members[index];
  app.choose(index);
  for (let spent = 0; spent < MEASURED_MS; ) {
    const began = performance.now();
    await app.drawFrame(frame);
    const ms = performance.now() - began;
    member.ms = Math.min(member.ms ?? ms, ms);
    spent += ms;
  }
  drawFront(app.members);
}

async function main() {
  followDivider();
  // A picture that is dropped before the page is ready must not take its place.
  for (const event of ["dragover", "drop"]) document.addEventListener(event, (drag) => drag.preventDefault());
  const say = (text) => (byId("subtitle").textContent = text);
  const { members } = MODELS;
  byId("member").max = String(members.length - 1);
  say("Loading the runtime …");
  const [frames, script, loader, wasm] = await Promise.all([decodeClip(), ...["script", "loader", "wasm"].map((part) => runtimeFile(RUNTIME[part]))]);
  showBefore(frames[0]);
  const models = await Promise.all(members.map((member) => unzip(member.model)));
  const app = new App(new Upscaler(script));
  const { provider, threads } = await app.upscaler.ask("start", { loader, wasm, model: models[0] });
  for (const [index, model] of models.entries()) {
    say(`Preparing member ${index + 1} of ${members.length} …`);
    await app.upscaler.ask("load", { model }, [model]);
    await measure(app, index, frames[0]);
  }
  say("Measuring …");
  for (let round = 0; round < 3; round += 1) {
    for (const [index, { ms }] of members.entries()) if (ms < SLOW_MS) await measure(app, index, frames[0]);
  }
  const where = provider === "webgpu" ? "WebGPU" : `WASM, ${threads} thread${threads > 1 ? "s" : ""}`;
  const [{ width, height }] = frames;
  say(`${members.length} members are ready on ${where}. Nothing that you open leaves this page.`);
  byId("member-note").textContent =
    `Quality is PSNR-Y on the images of the search, where bicubic has ${decibels(MODELS.bicubic_psnr_y)}; ` +
    `speed that of ${width}×${height} to ${MODELS.scale * width}×${MODELS.scale * height} here.`;
  app.player = new Player(frames, {
    upscale: (picture) => app.drawFrame(picture),
    choose: (index) => app.choose(index),
    index: () => app.index,
    timed: () => members.map(({ ms, psnr_y }, index) => ({ ms, psnr_y, index })),
    ended: () => {
      byId("play").textContent = "Play";
      if (!app.picture) byId("save").disabled = false;
    },
  });
  app.listen();
  app.choose(members.length - 1);
  await app.redraw();
  document.documentElement.dataset.ready = "true";
}

addEventListener("unhandledrejection", ({ reason }) => fail(`The page stopped: ${reason?.message ?? reason}. Reload it.`));
main().catch((error) => {
  if (typeof DecompressionStream === "undefined") fail("This browser is too old for this page (any browser since 2023 is new enough).");
  else fail(`The page could not start: ${error.message}.`);
});

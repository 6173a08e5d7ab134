"use strict";
// What is seen: before and after under the divider, the member's figures, the front, the frames of the clip.

const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
const decibels = (value) => `${value.toFixed(2)} dB`;
const rounded = (value) => (value < 10 ? value.toFixed(1) : String(Math.round(value)));

// One line in place of the page's work.
function fail(text) {
  byId("failure").hidden = false;
  byId("failure").textContent = text;
  byId("subtitle").textContent = "";
}

// Both canvases take the shape of an LR picture, which is shown on the left side.
function showBefore(picture) {
  const [before, after] = [byId("before"), byId("after")];
  byId("compare").style.setProperty("--shape", String(picture.width / picture.height));
  byId("compare").style.setProperty("--pixels", `${(MODELS.scale * picture.width) / devicePixelRatio}px`);
  if (before.width !== picture.width || before.height !== picture.height) {
    Object.assign(before, { width: picture.width, height: picture.height });
    Object.assign(after, { width: MODELS.scale * picture.width, height: MODELS.scale * picture.height });
  }
  before.getContext("2d").putImageData(picture, 0, 0);
}

// The line stays where it is while pictures scroll below it.
function followDivider() {
  const [compare, scroll, divider] = [byId("compare"), byId("scroll"), byId("divider")];
  const follow = () => {
    const cut = scroll.scrollLeft + (compare.clientWidth * divider.value) / 100;
    compare.style.setProperty("--at", `${divider.value}%`);
    compare.style.setProperty("--cut", `${cut}px`);
    divider.setAttribute("aria-valuetext", `${Math.round(divider.value)} % before`);
  };
  divider.addEventListener("input", follow);
  scroll.addEventListener("scroll", follow);
  new ResizeObserver(follow).observe(compare);
  // Touch scrolls by itself; a mouse drags.
  scroll.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button === 0) scroll.setPointerCapture(event.pointerId);
  });
  scroll.addEventListener("pointermove", (event) => {
    if (scroll.hasPointerCapture(event.pointerId)) scroll.scrollBy(-event.movementX, -event.movementY);
  });
  byId("actual").addEventListener("change", ({ target }) => {
    compare.classList.toggle("actual", target.checked);
    scroll.tabIndex = target.checked ? 0 : -1;
    scroll.scrollTo((scroll.scrollWidth - scroll.clientWidth) / 2, (scroll.scrollHeight - scroll.clientHeight) / 2);
    follow();
  });
}

function showMember(members, index) {
  const member = members[index];
  byId("member").value = String(index);
  byId("member").setAttribute("aria-valuetext", `${member.name}, ${decibels(member.psnr_y)}`);
  byId("member-quality").textContent = decibels(member.psnr_y);
  byId("member-fps").textContent = member.ms ? `${rounded(1000 / member.ms)} frames/s` : "–";
  byId("member-weights").textContent = member.parameters.toLocaleString("en-US", { notation: "compact", maximumSignificantDigits: 3 });
  byId("member-name").textContent = member.name;
  byId("after-label").textContent = `member ${index + 1} of ${members.length}`;
  document.querySelectorAll("#front circle").forEach((dot) => {
    dot.classList.toggle("chosen", dot.dataset.index === String(index));
    dot.setAttribute("r", dot.dataset.index === String(index) ? "7" : "4");
  });
}

// Quality against frames per second in this browser, of the members that were measured.
function drawFront(members) {
  const front = byId("front");
  const make = (name, attributes, text = "") => {
    const node = document.createElementNS(front.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    front.append(node);
    return node;
  };
  const known = members.filter((member) => member.ms);
  const scaleOf = (values, from, to) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value) => (high > low ? from + ((to - from) * (value - low)) / (high - low) : (from + to) / 2);
  };
  const rate = (member) => Math.log(1000 / member.ms);
  const x = scaleOf(known.map(rate), 300, 20);
  const y = scaleOf(known.map((member) => member.psnr_y), 84, 14);
  front.replaceChildren();
  front.setAttribute("aria-label", `Quality against speed of ${known.length} members, fastest on the left`);
  make("line", { x1: 8, x2: 312, y1: 94, y2: 94 });
  const ordered = [...known].sort((a, b) => a.ms - b.ms);
  make("text", { x: 8, y: 108 }, `${rounded(1000 / ordered[0].ms)} frames/s`);
  make("text", { x: 312, y: 108, "text-anchor": "end" }, `${rounded(1000 / ordered.at(-1).ms)} frames/s`);
  const quality = known.map((member) => member.psnr_y);
  make("text", { x: 8, y: 18 }, decibels(Math.max(...quality)));
  make("text", { x: 312, y: 88, "text-anchor": "end" }, decibels(Math.min(...quality)));
  for (const member of known) {
    const dot = make("circle", { cx: x(rate(member)), cy: y(member.psnr_y), r: 4 });
    dot.dataset.index = String(members.indexOf(member));
    const title = document.createElementNS(front.namespaceURI, "title");
    title.textContent = `${member.name}: ${decibels(member.psnr_y)}, ${rounded(member.ms)} ms`;
    dot.append(title);
  }
}

// The last frames as bars: within their time, late, and where the member changed.
function drawTimeline(frames, deadline) {
  const canvas = byId("timeline");
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: Math.round(ratio * width), height: Math.round(ratio * height) });
  const draw = canvas.getContext("2d");
  draw.scale(ratio, ratio);
  const step = width / SHOWN_FRAMES;
  const tall = (ms) => Math.min(height, (height / 2) * (ms / deadline));
  frames.forEach(({ ms, late, member }, i) => {
    draw.fillStyle = colour(late ? "late" : "accent");
    draw.fillRect(i * step, height - tall(ms), Math.max(1, step - 1), tall(ms));
    if (i && frames[i - 1].member !== member) {
      draw.fillStyle = colour("ink");
      draw.fillText(member > frames[i - 1].member ? "▴" : "▾", i * step - 3, 9);
    }
  });
  draw.fillStyle = colour("ink");
  draw.fillRect(0, height / 2, width, 1);
  const late = frames.filter((frame) => frame.late).length;
  canvas.setAttribute("aria-label", `The last ${frames.length} frames, ${late} of them late`);
}

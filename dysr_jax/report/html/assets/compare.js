"use strict";
// Two pictures over each other, with a divider that is dragged or moved by keys.

const KEY_STEPS = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10 };

function showComparison(report) {
  const found = report.comparison;
  if (!found) return;
  byId("images").hidden = false;
  const last = found.pictures.length - 1;
  const urls = found.pictures.map(({ file }) => URL.createObjectURL(new Blob([file], { type: "image/webp" })));
  const caption = ({ name, psnr_y: db }) =>
    name === "LR" ? `LR, 1/${found.scale} of the size` : db === null ? name : `${name}, ${decibels(db)}`;
  for (const [side, chosen] of [["left", Math.min(1, last)], ["right", Math.max(0, last - 1)]]) {
    const choice = byId(`${side}-picture`);
    fill(choice, ...found.pictures.map((picture, i) => element("option", { value: i }, caption(picture))));
    const show = () => {
      const picture = found.pictures[Number(choice.value)];
      const image = byId(`${side}-image`);
      image.src = urls[Number(choice.value)];
      image.alt = `${found.image}: ${caption(picture)}`;
      image.classList.toggle("lr", picture.name === "LR");
      fill(byId(`${side}-label`), caption(picture));
      moveDivider(Number(byId("divider").getAttribute("aria-valuenow")));
    };
    choice.value = String(chosen);
    choice.addEventListener("change", show);
    show();
  }
  byId("compare").style.aspectRatio = `${found.size[1]} / ${found.size[0]}`;
  byId("pixels").addEventListener("change", () => byId("compare").classList.toggle("pixels", byId("pixels").checked));
  fill(
    byId("images-note"),
    `A detail of ${found.image}, ${found.size[1]}x${found.size[0]} pixels of HR; PSNR-Y is that of the detail. ` +
      `The pictures are stored ${found.encoded === "lossless" ? "without loss" : `as ${found.encoded}`}.`,
  );
  listenToDivider();
}

// Put the divider at a percentage of the width.
function moveDivider(position) {
  const where = Math.min(100, Math.max(0, Math.round(position)));
  const divider = byId("divider");
  divider.style.left = `${where}%`;
  divider.setAttribute("aria-valuenow", String(where));
  divider.setAttribute(
    "aria-valuetext",
    `${where} % ${byId("left-label").textContent}, ${100 - where} % ${byId("right-label").textContent}`,
  );
  byId("left-image").style.clipPath = `inset(0 ${100 - where}% 0 0)`;
}

function listenToDivider() {
  const frame = byId("compare");
  const divider = byId("divider");
  const follow = (event) => {
    const box = frame.getBoundingClientRect();
    moveDivider((100 * (event.clientX - box.left)) / box.width);
  };
  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    frame.setPointerCapture(event.pointerId);
    follow(event);
    divider.focus({ preventScroll: true });
    event.preventDefault();
  });
  frame.addEventListener("pointermove", (event) => {
    if (frame.hasPointerCapture(event.pointerId)) follow(event);
  });
  divider.addEventListener("keydown", (event) => {
    const now = Number(divider.getAttribute("aria-valuenow"));
    const ends = { Home: 0, End: 100 };
    const next = event.key in ends ? ends[event.key] : event.key in KEY_STEPS ? now + KEY_STEPS[event.key] : null;
    if (next === null) return;
    moveDivider(next);
    event.preventDefault();
  });
}

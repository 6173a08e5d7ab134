"use strict";
// The candidates and the front, generation by generation, and the candidate that is selected.

// Indices of the candidates that nothing dominates, fastest first, as of a generation.
function frontUntil(found, generation) {
  const rows = [];
  for (let i = 0; i < found.count; i += 1) {
    if (found.generation[i] <= generation && found.feasible[i]) rows.push(i);
  }
  rows.sort((a, b) => found.latency_ms[a] - found.latency_ms[b] || found.psnr_y[b] - found.psnr_y[a]);
  let best = -Infinity;
  return rows.filter((i) => found.psnr_y[i] > best && ((best = found.psnr_y[i]), true));
}

const archOf = (report, row) =>
  report.genes.map((_, gene) => report.candidates.genes[gene * report.candidates.count + row]);

function candidateText(report, row) {
  const found = report.candidates;
  return [
    `<b>${wrapped(archName(report, archOf(report, row)))}</b>`,
    `${decibels(found.psnr_y[row])} on patches`,
    `${number(found.latency_ms[row])} ms predicted`,
    `${scaled(found.params[row])} weights, ${scaled(found.mult_adds[row])} mult-adds`,
    `generation ${found.generation[row] + 1}${found.feasible[row] ? "" : ", outside the constraints"}`,
  ].join("<br>");
}

function pick(found, rows, text) {
  return {
    x: rows.map((i) => found.latency_ms[i]),
    y: rows.map((i) => found.psnr_y[i]),
    customdata: rows,
    text: rows.map((i) => text[i]),
    hovertemplate: "%{text}<extra></extra>",
  };
}

function frontTraces(report, state) {
  const found = report.candidates;
  const shown = [];
  for (let i = 0; i < found.count; i += 1) if (found.generation[i] <= state.generation) shown.push(i);
  const kept = state.generation + 1 < found.generations ? frontUntil(found, state.generation) : found.front;
  const members = (report.results?.members ?? []).map((member) => member.row);
  const marked = members.filter((row) => row !== null && found.generation[row] <= state.generation);
  const scale = narrow() ? {} : { colorbar: { title: { text: "generation" }, thickness: 10, outlinewidth: 0 } };
  return [
    {
      ...pick(found, shown, state.text),
      type: state.kind,
      mode: "markers",
      name: `${number(shown.length)} candidates`,
      marker: {
        size: found.count > 5000 ? 4 : 6,
        color: shown.map((i) => found.generation[i] + 1),
        cmin: 1,
        cmax: Math.max(2, found.generations),
        colorscale: [[0, colour("early")], [1, colour("late")]],
        symbol: shown.map((i) => (found.feasible[i] ? "circle" : "x-thin-open")),
        showscale: !narrow(),
        ...scale,
      },
    },
    {
      ...pick(found, kept, state.text),
      type: state.kind,
      mode: "lines+markers",
      name: `front (${kept.length})`,
      line: { shape: "hv", color: colour("front"), width: 1.5 },
      marker: { color: colour("front"), size: 6 },
    },
    {
      ...pick(found, marked, state.text),
      type: state.kind,
      mode: "markers",
      name: `members (${marked.length})`,
      marker: { symbol: "diamond-open", color: colour("member"), size: 13, line: { width: 2 } },
    },
  ];
}

// A frame around the selected candidate, above all points; to move it nothing else is drawn again.
function selectedMark(found, state, log) {
  if (state.selected === null) return [];
  const x = found.latency_ms[state.selected];
  return [{
    x: log ? Math.log10(x) : x,
    y: found.psnr_y[state.selected],
    text: " ",
    width: 14,
    height: 14,
    borderpad: 0,
    borderwidth: 4,
    bordercolor: colour("accent"),
    showarrow: false,
  }];
}

function showSelected(report, state) {
  const found = report.candidates;
  const row = state.selected;
  const arch = archOf(report, row);
  const place = found.front.indexOf(row);
  const member = (report.results?.members ?? []).findIndex((one) => one.row === row);
  const said = [
    decibels(found.psnr_y[row]) + " on the validation patches",
    `${number(found.latency_ms[row])} ms predicted`,
    `${scaled(found.params[row])} weights`,
    `${scaled(found.mult_adds[row])} mult-adds at 1280x720`,
    `generation ${found.generation[row] + 1}`,
    place >= 0 ? `on the front, ${place + 1} of ${found.front.length}` : "not on the front",
    ...(member >= 0 ? [`member ${member + 1}`] : []),
    ...(found.feasible[row] ? [] : ["outside the search's constraints"]),
  ];
  fill(byId("selected-title"), archName(report, arch));
  fill(
    byId("selected-body"),
    element("p", {}, said.join(" · ")),
    element("ul", { class: "strip", "aria-label": "branches by slot" },
      ...arch.map((index, gene) => element("li", {}, branchCell(report, gene, index)))),
  );
  byId("faster").disabled = neighbour(found, row, -1) === null;
  byId("better").disabled = neighbour(found, row, 1) === null;
  document.querySelectorAll("#members-table tbody tr").forEach((line, i) => {
    line.classList.toggle("chosen", i === member);
  });
}

// The next candidate on the front in a direction, also from one beside it.
function neighbour(found, row, direction) {
  const front = found.front;
  if (row === null) return front.length ? front[direction > 0 ? front.length - 1 : 0] : null;
  const next = direction > 0
    ? front.find((i) => found.psnr_y[i] > found.psnr_y[row])
    : front.findLast((i) => found.latency_ms[i] < found.latency_ms[row]);
  return next ?? null;
}

"use strict";
// Elements, numbers and names as they are shown.

const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function fill(node, ...children) {
  node.replaceChildren(...children);
}

// Making a formatter takes longer than using it a hundred times.
const FORMATS = new Map();

function formatter(digits) {
  if (!FORMATS.has(digits)) {
    const options = digits ? { minimumSignificantDigits: digits, maximumSignificantDigits: digits } : {};
    FORMATS.set(digits, new Intl.NumberFormat("en-US", options));
  }
  return FORMATS.get(digits);
}

// Three significant digits, thousands apart: 0.0833, 12.0, 4,554; whole numbers as they are.
function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1e9) return value.toExponential(2).replace("e+", "e");
  return formatter(Number.isInteger(value) ? 0 : Math.max(digits, countDigits(value))).format(value);
}

const countDigits = (value) => String(Math.trunc(Math.abs(value))).length;
const decibels = (value) => (Number.isFinite(value) ? `${value.toFixed(2)} dB` : "–");
const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "–");

// With a unit prefix, as 214K or 12.3G.
function scaled(value, unit = "") {
  for (const [size, prefix] of [[1e9, "G"], [1e6, "M"], [1e3, "K"]]) {
    if (Math.abs(value) >= size) return `${number(value / size)}${unit ? " " : ""}${prefix}${unit}`;
  }
  return `${number(value)}${unit ? " " : ""}${unit}`;
}

// Runs of branches counted, as the library names archs: 2c3-r1-id-u1; of several widths the arch's own is first.
function archName(report, arch) {
  const names = arch.map((index, gene) => report.genes[gene][index]);
  if (report.gene_names.at(-1) === "width") names.unshift(names.pop());
  const runs = [];
  names.forEach((name) => {
    const last = runs[runs.length - 1];
    if (last && last[0] === name) last[1] += 1;
    else runs.push([name, 1]);
  });
  return runs.map(([name, count]) => (count > 1 ? `${count}${name}` : name)).join("-");
}

// Long names break at hyphens in a hover label.
function wrapped(name, most = 36) {
  const lines = [""];
  for (const part of name.split(/(?<=-)/)) {
    if ((lines[lines.length - 1] + part).length > most) lines.push("");
    lines[lines.length - 1] += part;
  }
  return lines.join("<br>");
}

function table(node, head, rows) {
  const line = (kind, cells) =>
    element("tr", {}, ...cells.map((cell, i) => element(i === 0 || kind === "th" ? "th" : "td",
      { scope: kind === "th" ? "col" : i === 0 ? "row" : undefined }, cell)));
  fill(
    node,
    element("thead", {}, line("th", head)),
    element("tbody", {}, ...rows.map((row) => line("td", row))),
  );
}

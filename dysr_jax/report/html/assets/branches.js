"use strict";
// A branch or a width as a coloured cell with its name, the same colour everywhere.

// Okabe & Ito 2008, and paler ones of the same hues for spaces of more branches.
const PALETTE = [
  "#c8cdd3", "#56b4e9", "#e69f00", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
  "#a6d8f3", "#f5cf80", "#80cfb9", "#80b9d9", "#eaaf80", "#e6bcd3",
];

function branchColours(genes) {
  const names = [...new Set(genes.flat())];
  return Object.fromEntries(names.map((name, i) => [name, PALETTE[i % PALETTE.length]]));
}

// Black or white, whichever is read more easily on a colour.
function inkOn(colour) {
  const parts = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16) / 255);
  const [red, green, blue] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000000" : "#ffffff";
}

function branchCell(report, gene, index, old) {
  const name = report.genes[gene][index];
  const before = old === undefined || old === index ? null : report.genes[gene][old];
  const colour = report.colours[name];
  const where = report.gene_names[gene];
  return element(
    "span",
    {
      class: before === null ? "branch" : "branch changed",
      style: `background:${colour};color:${inkOn(colour)}`,
      title: before === null ? `${where}: ${name}` : `${where}: ${before} becomes ${name}`,
    },
    name,
  );
}

"use strict";
// Reads what is packed in the page and draws every section that there is data for.

function showHead(report) {
  const { candidates, results, table_key: key } = report;
  const [rows, columns] = key?.frame ?? report.frame;
  const device = results?.device ?? key?.device;
  const parts = [
    `x${report.scale}, ${columns}x${rows} to ${columns * report.scale}x${rows * report.scale}`,
    ...(device ? [`on ${device}`] : []),
    ...(key ? [key.dtype] : []),
    ...(report.finished ? [] : ["not finished"]),
  ];
  fill(byId("subtitle"), parts.join(" · "));
  const growth = report.growth?.hypervolume.at(-1);
  const facts = [
    ["archs in the space", number(report.space_size)],
    ...(candidates ? [["evaluated", number(candidates.evaluated)], ["on the front", candidates.front.length]] : []),
    ...(results
      ? [
          ["members", results.members.length],
          ["best member", decibels(results.members.at(-1).psnr_y)],
          ["bicubic", decibels(results.bicubic_psnr_y)],
          ["fastest member", `${number(results.members[0].latency_ms)} ms`],
          ["resident weights", scaled(results.resident_bytes, "B")],
        ]
      : []),
    ...(growth ? [["hypervolume", `${number(growth)} ms·dB`]] : []),
  ];
  fill(byId("facts"), ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  byId("missing").hidden = report.missing.length === 0;
  fill(byId("missing-list"), ...report.missing.map((line) => element("li", {}, line)));
}

async function main() {
  const report = await readData();
  report.colours = branchColours(report.genes);
  showHead(report);
  showComparison(report);
  await loadPlotly();
  for (const show of [showFront, showMembers, showGrowth, showClock, showTaus, showTraining, showLatency, showMemory,
    showSwitching, showSteady]) {
    show(report);
  }
  followTheme();
  document.documentElement.dataset.ready = "true";
}

main().catch((error) => {
  const old = typeof DecompressionStream === "undefined";
  const failure = byId("failure");
  failure.hidden = false;
  failure.textContent = old
    ? "This browser is too old for this report: it cannot decompress data (any browser since 2023 can)."
    : `The report could not be drawn: ${error.message}`;
  if (!old) throw error;
});
